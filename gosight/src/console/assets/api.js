// Talks with the console's server. The token is kept for this tab only.

const KEPT = 'gosight-console-token'
const dialog = document.getElementById('token')

const headers = () => {
  const token = sessionStorage.getItem(KEPT)
  return token ? { Authorization: `Bearer ${token}` } : {}
}

/** Asks for the token; false where the person gave none. */
const askToken = () =>
  new Promise((resolve) => {
    const form = dialog.querySelector('form')
    form.reset()
    dialog.addEventListener('close', () => {
      const token = form.elements.token.value.trim()
      const isGiven = dialog.returnValue === 'ok' && token !== ''
      if (isGiven) sessionStorage.setItem(KEPT, token)
      resolve(isGiven)
    }, { once: true })
    dialog.returnValue = ''
    dialog.showModal()
  })

const send = async (path, options = {}) => {
  for (;;) {
    const response = await fetch(`api/${path}`, { ...options, headers: { ...options.headers, ...headers() } })
    if (response.status === 401 && (await askToken())) continue
    if (response.ok) return response
    const body = await response.json().catch(() => ({}))
    throw new Error(body.error ?? `the console answered ${response.status}`)
  }
}

const query = (parameters) => {
  const given = Object.entries(parameters ?? {}).filter(([, value]) => value !== undefined && value !== '')
  return given.length ? `?${new URLSearchParams(given)}` : ''
}

export const get = async (path, parameters, signal) => (await send(path + query(parameters), { signal })).json()

export const post = async (path, body) =>
  (await send(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) })).json()

/** Lines of JSON as they come, until `signal` ends it. */
export const stream = async (path, parameters, signal, each) => {
  const response = await send(path + query(parameters), { signal })
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    const lines = (rest + value).split('\n')
    rest = lines.pop()
    for (const line of lines) if (line) each(JSON.parse(line))
  }
}
