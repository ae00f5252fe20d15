// Records as they come: filtered, paused, and one of them opened to its whole story.
import { get, stream } from './api.js'
import { count, facts, field, h, json, moment, time } from './dom.js'

const MOST = 200

const story = async (id, place) => {
  place.replaceChildren(h('p', { className: 'quiet' }, 'Looking …'))
  try {
    const { lines } = await get('where', { id })
    place.replaceChildren(h('pre', { className: 'story' }, lines.join('\n')))
  } catch (error) {
    place.replaceChildren(h('p', { className: 'bad' }, error.message))
  }
}

const headline = ({ topic, time_ms, summary }) => [
  time(time_ms),
  h('b', {}, summary.what ?? topic),
  h('span', {}, summary.session ? `session ${summary.session}` : ''),
  h('span', { className: 'quiet' }, summary.detail ?? ''),
]

export const item = (record) => {
  const place = h('div', {})
  const details = h('details', {}, h('summary', {}, headline(record)))
  details.addEventListener('toggle', () => {
    if (!details.open || details.childElementCount > 1) return
    details.append(
      facts([['position', record.position], ['key', record.key], ['at', moment(record.time_ms)], ...Object.entries(record.headers)]),
      json(record.value),
      record.summary.id ? h('button', { onclick: () => story(record.summary.id, place) }, 'The whole story') : '',
      place)
  })
  return h('li', {}, details)
}

export const live = async (main, { signal, parameters }) => {
  const topic = h('select', {}, ['raw', 'errors', 'staging'].map((name) => h('option', { value: name }, name)))
  topic.value = parameters.get('topic') ?? 'raw'
  const input = (name) => h('input', { name, size: 18, value: parameters.get(name) ?? '', autocomplete: 'off', spellcheck: false })
  const filters = { project: input('project'), session: input('session'), type: input('type'), code: input('code') }
  const pause = h('button', { type: 'button', 'aria-pressed': 'false' }, 'Pause')
  const status = h('p', { className: 'quiet', role: 'status' }, '')
  const list = h('ol', { className: 'live', id: 'live' })
  const form = h('form', { className: 'filters' }, field('topic', topic),
    Object.entries(filters).map(([name, each]) => field(name, each)), h('button', {}, 'Filter'), pause)
  main.append(h('h2', {}, 'Live'), form, status, list)

  let isPaused = false
  let held = []
  let skipped = 0
  const say = () => {
    const parts = [isPaused ? `paused, ${count(held.length)} wait` : 'listening']
    if (skipped) parts.push(`${count(skipped)} skipped: they came faster than they could be shown`)
    status.textContent = parts.join(' · ')
  }
  const add = (record) => {
    list.prepend(item(record))
    while (list.childElementCount > MOST) list.lastElementChild.remove()
  }
  pause.addEventListener('click', () => {
    isPaused = !isPaused
    pause.setAttribute('aria-pressed', String(isPaused))
    pause.textContent = isPaused ? 'Go on' : 'Pause'
    if (!isPaused) held.splice(0).forEach(add)
    say()
  })
  const receive = (message) => {
    if (message.error) throw new Error(message.error)
    if (message.skipped) skipped += message.skipped
    else if (!isPaused) add(message)
    else if (held.length < MOST) held.push(message)
    else skipped += 1
    say()
  }

  let listening = new AbortController()
  signal.addEventListener('abort', () => listening.abort())
  const listen = async () => {
    listening.abort()
    listening = new AbortController()
    const { signal: mine } = listening
    list.replaceChildren()
    held = []
    skipped = 0
    say()
    const chosen = Object.fromEntries(Object.entries(filters).map(([name, each]) => [name, each.value.trim()]))
    try {
      await stream('live', { topic: topic.value, ...chosen }, mine, receive)
      if (!mine.aborted) status.textContent = 'the console has ended; start it again'
    } catch (error) {
      if (!mine.aborted) status.textContent = error.message
    }
  }
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    listen()
  })
  topic.addEventListener('change', listen)
  listen()
}
