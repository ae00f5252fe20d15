// A page to play on: what happens here goes through the edge as a browser's SDK sends it, and appears in Live.
import { get, stream } from './api.js'
import { field, h } from './dom.js'
import { sendClick } from './grpc-web.js'
import { item } from './live.js'

export const tryIt = async (main, { signal }) => {
  const info = await get('info', {}, signal)
  const session = `try-${crypto.randomUUID().slice(0, 8)}`
  const edge = h('input', { value: info.edge ?? '', size: 28, name: 'edge', type: 'url', readOnly: true })
  const key = h('input', { value: info.key ?? '', size: 22, name: 'key', autocomplete: 'off', spellcheck: false })
  const said = h('p', { role: 'status', id: 'said', className: 'quiet' }, 'Nothing is sent yet.')
  const arrived = h('ol', { className: 'live', id: 'arrived' })
  const say = (text, className = 'quiet') => {
    said.className = className
    said.textContent = text
  }

  const beacon = (type, payload) => {
    const event = { event_id: crypto.randomUUID(), type, timestamp: Date.now(), payload,
      page: { url: location.href, path: location.pathname, title: document.title } }
    const body = JSON.stringify({ project_key: key.value.trim(), session_id: session, sent_at: Date.now(), events: [event] })
    const isQueued = navigator.sendBeacon(`${edge.value}/v1/events`, body)
    say(isQueued ? `${type} is sent by sendBeacon` : 'the browser refused the beacon', isQueued ? 'quiet' : 'bad')
  }

  const click = async (event) => {
    const element = event.currentTarget
    const [x, y] = [Math.round(event.pageX), Math.round(event.pageY)]
    try {
      const receipt = await sendClick(edge.value, { key: key.value.trim(), session, x, y, element })
      say(`the click is staged: ${receipt}`, 'good')
    } catch (error) {
      say(error.message, 'bad')
    }
  }

  const form = h('form', { id: 'try-form', className: 'filters' }, field('Your city', h('input', { name: 'city' })), h('button', {}, 'Submit'))
  form.addEventListener('input', (event) => beacon('input_change', { input_type: 'text', is_masked: false, value: event.target.value, target_selector: '#try-form input' }))
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    beacon('form_submit', { target_selector: '#try-form' })
  })
  const fail = () => {
    try {
      undefined.nothing()
    } catch (error) {
      beacon('js_error', { message: error.message, error_type: error.name, stack: error.stack, source: location.href })
    }
  }

  main.append(
    h('h2', {}, 'Try it'),
    info.edge
      ? h('p', {}, `Each act below goes to the edge as a browser’s SDK sends it, under the session ${session}, and stands below as soon as it is enriched.`)
      : h('p', { className: 'warn' }, 'Start the console with --edge URL, so that this page knows where to send.'),
    h('p', { className: 'filters' }, field('edge', edge), field('project key', key)),
    h('div', { className: 'pad' },
      h('section', {}, h('h3', {}, 'gRPC-Web'), h('p', { className: 'buttons' },
        h('button', { id: 'try-buy', onclick: click }, 'Buy'), h('button', { id: 'try-cancel', onclick: click }, 'Cancel'))),
      h('section', {}, h('h3', {}, 'sendBeacon'), form, h('p', { className: 'buttons' },
        h('button', { id: 'try-view', onclick: () => beacon('page_view') }, 'View a page'),
        h('button', { id: 'try-error', onclick: fail }, 'Meet an error'))),
      h('section', {}, h('h3', {}, 'Bad events'), h('p', { className: 'buttons' },
        h('button', { id: 'try-scroll', onclick: () => beacon('scroll', { depth_percent: 170 }) }, 'Scroll to 170 %'),
        h('button', { id: 'try-type', onclick: () => beacon('no_such_type', {}) }, 'Unknown type')))),
    said, h('h3', {}, 'What came of it'), arrived)

  for (const topic of ['raw', 'errors']) {
    stream('live', { topic, session }, signal, (message) => {
      if (message.error) throw new Error(message.error)
      if (!message.skipped) arrived.prepend(item(message))
    })
      .catch((error) => { if (!signal.aborted) say(error.message, 'bad') })
  }
}
