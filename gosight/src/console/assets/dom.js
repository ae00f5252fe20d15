// Elements without markup: what strangers sent is only ever text.

/** An element with properties and children: `h('p', { className: 'quiet' }, 'text', h('b', {}, 1))`. */
export const h = (tag, properties = {}, ...children) => {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
    else if (name in element && !name.includes('-') && name !== 'list') element[name] = value
    else element.setAttribute(name, value === true ? '' : value)
  }
  element.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null))
  return element
}

/** An SVG element. */
export const svg = (tag, attributes = {}, ...children) => {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  element.append(...children)
  return element
}

/** A table; a cell that is a number stands to the right. */
export const table = (titles, rows) =>
  h('div', { className: 'table' },
    h('table', {},
      h('thead', {}, h('tr', {}, titles.map((title) => h('th', { scope: 'col' }, title)))),
      h('tbody', {}, rows.map((row) =>
        h('tr', {}, row.map((cell) => h('td', { className: typeof cell === 'number' ? 'number' : '' },
          typeof cell === 'number' ? count(cell) : cell)))))))

/** A labelled field. */
export const field = (label, input) => h('label', {}, label, input)

/** Pairs of a name and a value; empty values are left out. */
export const facts = (pairs) =>
  h('dl', {}, pairs.filter(([, value]) => value !== undefined && value !== null && value !== '')
    .map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]))

export const count = (number) => Number(number).toLocaleString('en')

/** A rate: two digits where it is small. */
export const rate = (number) => (number >= 100 ? count(Math.round(number)) : String(Math.round(number * 10) / 10))

export const time = (ms) => {
  if (!ms) return '–'
  const date = new Date(ms)
  return h('time', { dateTime: date.toISOString(), title: date.toISOString() }, date.toLocaleTimeString([], { hour12: false }))
}

export const moment = (ms) => (ms ? new Date(ms).toLocaleString([], { hour12: false }) : '–')

export const milliseconds = (ms) =>
  ms === null || ms === undefined ? '–' : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`

/** JSON as text; `pointer` (RFC 6901) marks the lines of that field. */
export const json = (value, pointer) => {
  const lines = JSON.stringify(value, null, 2).split('\n')
  const marked = pointer ? linesOf(value, pointer) : undefined
  const element = h('pre', {})
  lines.forEach((line, index) => {
    const isMarked = marked && index >= marked[0] && index <= marked[1]
    element.append(isMarked ? h('mark', {}, line) : line, '\n')
  })
  return element
}

// The first and last line that the field takes in JSON.stringify's layout.
const linesOf = (value, pointer) => {
  const parts = pointer.split('/').slice(1).map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
  let line = 0
  for (const part of parts) {
    if (value === null || typeof value !== 'object' || !Object.hasOwn(value, part)) return undefined
    line += 1
    for (const [key, before] of Object.entries(value)) {
      if (key === part) break
      line += JSON.stringify(before, null, 2).split('\n').length
    }
    value = value[part]
  }
  return [line, line + JSON.stringify(value, null, 2).split('\n').length - 1]
}
