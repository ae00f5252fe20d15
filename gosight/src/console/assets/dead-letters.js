// Rejects: groups, a list, one with its field marked, a patch tried on today's enricher, redrive, discard, and who did what.
import { get, post } from './api.js'
import { count, facts, field, h, json, moment, table } from './dom.js'

// Errors keep 30 days; a page that opens reads one of them.
const FILTERS = { code: '', project: '', type: '', session: '', since: '24h' }

const link = (text, onclick) => h('button', { type: 'button', className: 'link', onclick }, text)

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms) })

export const deadLetters = async (main, { signal, tell, parameters }) => {
  const inputs = Object.fromEntries(Object.entries(FILTERS).map(([name, value]) =>
    [name, h('input', { name, size: 18, value: parameters.get(name) ?? value, autocomplete: 'off', spellcheck: false })]))
  const filter = () => Object.fromEntries(
    Object.entries(inputs).map(([name, input]) => [name, input.value.trim()]).filter(([, value]) => value))
  const [groups, list, one, ledger] = ['groups', 'rejects', 'reject', 'ledger'].map((id) => h('section', { id }))
  const form = h('form', { className: 'filters' },
    Object.entries(inputs).map(([name, input]) => field(name, input)), h('button', { className: 'primary' }, 'Show'))
  main.append(h('h2', {}, 'Dead letters'), form, groups, list, one, ledger)

  const failing = (place, work) => async (...given) => {
    try {
      await work(...given)
    } catch (error) {
      if (!signal.aborted) place.append(h('p', { className: 'bad', role: 'alert' }, error.message))
    }
  }

  const showGroups = failing(groups, async () => {
    groups.replaceChildren(h('p', { className: 'quiet' }, 'Reading the errors topic …'))
    const found = await get('dlq/groups', filter(), signal)
    groups.replaceChildren(found.groups.length
      ? table(['code', 'project', 'enricher', 'rejects', 'first', 'last', 'for example'], found.groups.map((group) => [
        link(group.code, () => {
          inputs.code.value = group.code
          inputs.project.value = group.project_id
          show()
        }),
        group.project_id, group.enricher_version, group.count, moment(group.first_ms), moment(group.last_ms), group.sample,
      ]))
      : h('p', { className: 'good' }, 'No rejects.'),
    h('p', { className: 'quiet' }, found.searched))
  })

  // Redrawn after a job, while what the job says of itself stays.
  const rows = h('div', {})
  const showRows = failing(rows, async () => {
    const { rejects, more } = await get('dlq/list', { ...filter(), limit: 50 }, signal)
    rows.replaceChildren(h('h3', {}, `${count(rejects.length)}${more ? ' of more' : ''} rejects`),
      table(['reject', 'at', 'field', 'problem', 'attempt'], rejects.map((reject) =>
        [link(reject.reject_id, () => showOne(reject.reject_id)), moment(reject.rejected_at), h('code', {}, reject.field), reject.message, reject.attempt])))
  })

  const showList = async () => {
    list.replaceChildren()
    if (!Object.keys(filter()).some((name) => name !== 'since')) return
    await showRows()
    list.replaceChildren(rows, bench())
  }

  const showOne = failing(one, async (id) => {
    one.replaceChildren(h('p', { className: 'quiet' }, 'Looking …'))
    const { reject, original, neighbours } = await get('dlq/show', { id }, signal)
    one.replaceChildren(h('h3', { tabIndex: -1 }, reject.reject_id),
      h('ul', {}, reject.problems.map((problem) => h('li', {}, h('code', {}, problem.code), ' ', h('code', {}, problem.field), ' ', problem.message))),
      h('div', { className: 'pad' },
        h('div', {}, h('h3', {}, 'The event'), original === null ? h('p', { className: 'quiet' }, 'It is no JSON, or it is withheld.') : json(original, reject.field)),
        h('div', {}, h('h3', {}, 'Where from'), facts([['project', reject.project_id], ['session', reject.session_id], ['batch', reject.batch_id],
          ['origin', reject.origin], ['received', moment(reject.received_at)], ['rejected', moment(reject.rejected_at)],
          ['attempt', reject.attempt], ['enricher', reject.enricher_version]]),
        h('h3', {}, 'Neighbours in its batch'),
        neighbours.length ? table(['index', 'became'], neighbours.map((each) => [each.index, `${each.outcome} ${each.what}`])) : h('p', { className: 'quiet' }, 'None are found.'))))
    one.querySelector('h3').focus()
  })

  // A patch, tried, looked at, and only then done.
  const bench = () => {
    const patch = h('textarea', { name: 'patch', placeholder: '{"payload":{"depth":50}}', spellcheck: false })
    const reason = h('input', { name: 'reason', size: 30 })
    const out = h('div', { 'aria-live': 'polite' })
    const redrive = h('button', { type: 'button', className: 'primary', disabled: true }, 'Redrive')
    const parsed = () => (patch.value.trim() ? JSON.parse(patch.value) : null)
    patch.addEventListener('input', () => { redrive.disabled = true })

    const test = failing(out, async () => {
      out.replaceChildren(h('p', { className: 'quiet' }, 'Running them through the enricher …'))
      const result = await post('dlq/test', { filter: filter(), patch: parsed() })
      redrive.disabled = result.would_pass === 0
      out.replaceChildren(
        h('p', { id: 'tested' }, h('b', { className: 'good' }, `${count(result.would_pass)} would pass`), ', ',
          h('b', { className: result.still_fail ? 'bad' : '' }, `${count(result.still_fail)} still fail`)),
        result.failures.length ? table(['code', 'rejects', 'for example'], result.failures.map((each) => [each.code, each.count, each.sample])) : '',
        result.example ? h('div', {}, h('h3', {}, 'What the patch changes, for example'), h('pre', {}, result.example.split('\n').map((line) =>
          [line.startsWith('-') ? h('del', {}, line) : line.startsWith('+') ? h('ins', {}, line) : line, '\n']))) : '')
    })

    const follow = async (job) => {
      const bar = h('progress', { max: 1, 'aria-label': 'redrive' })
      const text = h('p', { id: 'redriven' })
      out.replaceChildren(bar, text)
      while (!signal.aborted) {
        const state = await get('dlq/job', { id: job }, signal)
        bar.max = Math.max(1, state.total)
        bar.value = state.done
        const results = Object.entries(state.counts).map(([what, number]) => `${what.replaceAll('_', ' ')} ${count(number)}`)
        text.textContent = [`${state.state}: ${count(state.done)} of ${count(state.total)} records`, ...results].join(', ')
        if (state.state !== 'running') {
          if (state.error) out.append(h('p', { className: 'bad' }, state.error))
          break
        }
        await pause(300)
      }
      await Promise.all([showGroups(), showRows(), showLedger()])
    }

    redrive.addEventListener('click', failing(out, async () => {
      redrive.disabled = true
      const { job } = await post('dlq/redrive', { filter: filter(), patch: parsed() })
      await follow(job)
    }))
    const discard = failing(out, async () => {
      if (!reason.value.trim()) {
        tell('Say why they are discarded: it stands in the ledger.')
        reason.focus()
        return
      }
      const { job } = await post('dlq/discard', { filter: filter(), reason: reason.value.trim() })
      await follow(job)
    })
    return h('div', {}, h('h3', {}, 'All that the filter shows'),
      h('label', {}, 'Merge patch (RFC 7396) for each event; empty for none', patch),
      h('p', { className: 'buttons' }, h('button', { type: 'button', onclick: test }, 'Test'), redrive),
      h('p', { className: 'filters' }, field('reason', reason), h('button', { type: 'button', className: 'danger', onclick: discard }, 'Discard')), out)
  }

  const showLedger = failing(ledger, async () => {
    const { entries } = await get('dlq/ledger', {}, signal)
    ledger.replaceChildren(h('h3', {}, 'Ledger'), entries.length
      ? table(['when', 'who', 'what', 'filter', 'state', 'result'], entries.map((entry) =>
        [moment(entry.at_ms), entry.who, entry.kind, h('code', {}, entry.filter), entry.state, entry.result]))
      : h('p', { className: 'quiet' }, 'Nobody has redriven or discarded anything.'))
  })

  const show = () => Promise.all([showGroups(), showList()])
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    one.replaceChildren()
    show()
  })
  show()
  showLedger()
}
