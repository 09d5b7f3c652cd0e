// The wire. All that the page knows of the daemon comes through here.

export const base = document.baseURI
const root = new URL('v1/', base)
const kept = 'shield-token'

let token = sessionStorage.getItem(kept) ?? ''
let lost = () => {}

// onLost is called when the daemon no longer knows who asks.
export const onLost = (f) => (lost = f)

export function useToken(t) {
  token = t
  if (t) sessionStorage.setItem(kept, t)
  else sessionStorage.removeItem(kept)
}
export const hasToken = () => token !== ''

// A Problem is an error of the API, an RFC 9457 document.
export class Problem extends Error {
  constructor(status, { title, detail, code, field, ...more } = {}) {
    super(detail || title || `the daemon answered with status ${status}`)
    Object.assign(this, { status, code: code ?? 'internal', field: field ?? '', more })
  }
}

export const seg = (ref) => encodeURIComponent(ref)

// address is the URL of a route, like "jobs/nightly/run", with a query.
export function address(path, query = {}) {
  const url = new URL(path, root)
  for (const [k, v] of Object.entries(query)) {
    for (const one of [v].flat()) if (one !== '' && one != null && one !== false) url.searchParams.append(k, one)
  }
  return url
}

// send asks and returns the response, or throws a Problem.
export async function send(method, path, { query, body, signal, headers = {} } = {}) {
  const init = { method, signal, headers: { Accept: 'application/json', ...headers }, cache: 'no-store' }
  if (token) init.headers.Authorization = `Bearer ${token}`
  if (body !== undefined) {
    const raw = body instanceof Blob // a module
    init.body = raw ? body : JSON.stringify(body)
    init.headers['Content-Type'] = raw ? 'application/wasm' : 'application/json'
  }
  let res
  try {
    res = await fetch(address(path, query), init)
  } catch (err) {
    if (err.name === 'AbortError') throw err
    throw new Problem(0, { code: 'unavailable', detail: 'The daemon does not answer. Is shieldd running, and can this machine reach it?' })
  }
  if (res.ok) return res
  const p = new Problem(res.status, await res.json().catch(() => ({})))
  if (res.status === 401 && path !== 'session') lost()
  throw p
}

const json = async (res) => (res.status === 204 ? null : res.json())

export const get = async (path, query, signal) => json(await send('GET', path, { query, signal }))
export const post = async (path, body, query) => json(await send('POST', path, { body, query }))
export const patch = async (path, body) => json(await send('PATCH', path, { body }))
export const put = async (path, body) => json(await send('PUT', path, { body }))
export const remove = async (path) => json(await send('DELETE', path))

// list returns a list and, where the daemon gives it out in pages, the query
// of the next one.
export async function list(path, query, signal) {
  const res = await send('GET', path, { query, signal })
  const next = /<([^>]*)>\s*;\s*rel="?next"?/.exec(res.headers.get('Link') ?? '')
  const items = await res.json()
  return { items, next: next ? Object.fromEntries(new URL(next[1], res.url).searchParams) : null }
}

// all returns a whole list, at most so many.
export async function all(path, query = {}, signal, most = 2000) {
  const items = []
  for (let q = query; q; ) {
    const page = await list(path, q, signal)
    items.push(...page.items)
    q = items.length < most ? page.next : null
  }
  return items
}

// operations returns what the daemon can do, from its description of itself:
// the role that each operation wants by its name, and by its method and path;
// and, behind a question mark, the parameters of a query.
export async function operations() {
  const doc = await get('openapi.json')
  const ops = {}
  for (const [path, methods] of Object.entries(doc.paths)) {
    for (const [method, op] of Object.entries(methods)) {
      if (!op.operationId) continue
      const role = op['x-shield-role'] ?? ''
      ops[op.operationId] = ops[`${method.toUpperCase()} ${path}`] = role
      for (const p of op.parameters ?? []) if (p.in === 'query') ops[`${op.operationId}?${p.name}`] = role
    }
  }
  return ops
}

// The session: with a name and a password, or with a token.
export const whoami = () => get('session')
export const login = (name, password) => post('session', { name, password })
export const logout = () => remove('session')
export const changePassword = (old, fresh) => post('session/password', { old, new: fresh })

// checkToken keeps a token that the daemon knows, or throws.
export async function checkToken(t) {
  const before = token
  token = t
  try {
    await get('status')
  } catch (err) {
    token = before
    throw err
  }
  useToken(t)
}
