// How much comes and goes, how late, how far behind, and whether the books balance.
import { get } from './api.js'
import { count, h, milliseconds, moment, rate, svg } from './dom.js'

const SECONDS = 120
const [WIDTH, HEIGHT] = [600, 140]

const chart = (points, series, format) => {
  const values = points.flatMap((point) => series.map(([name]) => point[name] ?? 0))
  const top = Math.max(1, ...values) * 1.1
  const path = (name) => points.map((point, index) => {
    const x = (index / Math.max(1, SECONDS - 1)) * WIDTH
    return `${index ? 'L' : 'M'}${x.toFixed(1)} ${(HEIGHT - ((point[name] ?? 0) / top) * HEIGHT).toFixed(1)}`
  }).join('')
  return svg('svg', { class: 'chart', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img',
    'aria-label': series.map(([name, title]) => `${title} ${format(points.at(-1)?.[name] ?? 0)}`).join(', ') },
    ...series.map(([name]) => svg('path', { class: name, d: path(name) })))
}

const figure = (title, points, series, format) => {
  const last = points.at(-1) ?? {}
  return h('figure', {}, chart(points, series, format),
    h('figcaption', {}, `${title}: `, series.map(([name, text]) =>
      h('span', { className: `key ${name}` }, `${text} ${format(last[name] ?? 0)}`))))
}

const card = (title, value, className = '') => h('div', { className: 'card' }, h('small', {}, title), h('b', { className }, value))

const lags = (partitions) => {
  const most = Math.max(1, ...partitions.map(({ lag }) => lag))
  return h('div', { className: 'bars' }, partitions.map(({ partition, lag }) => [
    h('span', { className: 'quiet' }, `partition ${partition}`),
    h('meter', { max: most, value: lag, 'aria-label': `lag of partition ${partition}` }),
    h('span', {}, count(lag)),
  ]))
}

const books = (checked) => (checked.batches === undefined ? audited(checked)
  : h('p', { id: 'books' }, `${count(checked.batches)} batches of the last five minutes are too many for a page; `, h('code', {}, 'gosight audit --from 5m'), ' checks them'))

const audited = ({ balanced, from_ms, to_ms, staged, raw, errors, duplicates, in_flight, findings }) =>
  h('div', {},
    h('p', { className: balanced ? 'good' : 'bad', id: 'books' }, balanced ? 'The books balance' : 'The books do not balance',
      h('span', { className: 'quiet' }, ` · ${moment(from_ms)} to ${moment(to_ms)}: ${count(staged)} staged = ${count(raw)} on raw + ${count(errors)} rejects + `
        + `${count(duplicates)} duplicates + ${count(in_flight)} in flight`)),
    findings.length ? h('ul', {}, findings.map((finding) => h('li', { className: 'bad' }, finding))) : null)

export const flow = async (main, { signal }) => {
  const numbers = h('div', {})
  const checked = h('div', {}, h('p', { className: 'quiet' }, 'Checking the books …'))
  main.append(h('h2', {}, 'Flow'), numbers, h('h2', {}, 'Books'), checked)

  const refresh = async () => {
    const now = await get('flow', {}, signal)
    const points = now.seconds.slice(-SECONDS)
    const last = points.slice(-6, -1)
    const mean = (name) => last.reduce((sum, point) => sum + point[name], 0) / Math.max(1, last.length)
    const lag = now.lag.reduce((sum, each) => sum + each.lag, 0)
    numbers.replaceChildren(
      h('div', { className: 'cards' },
        card('staged / s', rate(mean('staged'))),
        card('on raw / s', rate(mean('raw'))),
        card('rejects / s', rate(mean('errors')), mean('errors') > mean('raw') / 20 ? 'warn' : ''),
        card('receipt to raw, p50', milliseconds(now.latency_ms?.p50)),
        card('p99', milliseconds(now.latency_ms?.p99)),
        card('lag, batches', count(lag), lag > 1000 ? 'warn' : '')),
      h('div', { className: 'charts' },
        figure('Events a second', points, [['staged', 'staged'], ['raw', 'raw'], ['errors', 'rejects']], rate),
        figure('Receipt to raw, p99', points.map((point) => ({ raw: point.p99_ms ?? 0 })), [['raw', '']], milliseconds)),
      h('h3', {}, 'Lag by partition'), lags(now.lag))
  }
  const audit = async () => { checked.replaceChildren(books(await get('books', {}, signal))) }

  const every = async (wait, work) => {
    while (!signal.aborted) {
      try {
        await work()
      } catch (error) {
        if (!signal.aborted) checked.replaceChildren(h('p', { className: 'bad', role: 'alert' }, error.message))
      }
      await new Promise((resolve) => { setTimeout(resolve, wait) })
    }
  }
  every(1000, refresh)
  every(15000, audit)
}
