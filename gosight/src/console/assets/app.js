// Which page is shown. A page is a function that fills `main` and gets a signal that ends with it.
import { get } from './api.js'
import { deadLetters } from './dead-letters.js'
import { h } from './dom.js'
import { flow } from './flow.js'
import { live } from './live.js'
import { tryIt } from './try.js'

const pages = { flow, 'dead-letters': deadLetters, live, try: tryIt }
const main = document.getElementById('main')
const notice = document.getElementById('notice')
let shown = new AbortController()
let hiding

export const tell = (text) => {
  notice.textContent = text
  notice.hidden = false
  clearTimeout(hiding)
  hiding = setTimeout(() => { notice.hidden = true }, 8000)
}

const show = async () => {
  shown.abort()
  shown = new AbortController()
  const { signal } = shown
  const [name, search] = location.hash.replace(/^#\//, '').split('?')
  const page = Object.hasOwn(pages, name) ? name : 'flow'
  for (const link of document.querySelectorAll('nav a')) {
    if (link.hash === `#/${page}`) link.setAttribute('aria-current', 'page')
    else link.removeAttribute('aria-current')
  }
  main.replaceChildren()
  try {
    await pages[page](main, { signal, tell, parameters: new URLSearchParams(search ?? '') })
  } catch (error) {
    if (!signal.aborted) main.append(h('p', { className: 'bad', role: 'alert' }, error.message))
  }
}

// The skip link is a place in the page, not a page.
addEventListener('hashchange', () => { if (location.hash !== '#main') show() })
get('info').then(({ engine }) => { document.getElementById('engine').textContent = `on ${engine}` }, () => {})
show()
