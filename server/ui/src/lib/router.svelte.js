// The address of the page: what stands behind its base.
import { base } from './api.js'

const root = new URL('.', base)
const read = () => {
  const rest = location.pathname.slice(root.pathname.length)
  return {
    path: rest.split('/').filter(Boolean).map(decode),
    query: Object.fromEntries(new URLSearchParams(location.search)),
  }
}
const decode = (s) => {
  try { return decodeURIComponent(s) } catch { return s }
}

export const router = $state(read())

const update = () => Object.assign(router, read())

// go shows another page of the application.
export function go(href, { replace = false } = {}) {
  const url = new URL(href, root)
  if (url.href !== location.href) history[replace ? 'replaceState' : 'pushState'](null, '', url)
  if (arrive()) scrollTo(0, 0)
}

// arrive shows the page of the address, and reports whether it is another: the
// focus goes to its content then.
function arrive() {
  const before = router.path.join('/')
  update()
  const other = router.path.join('/') !== before
  if (other) queueMicrotask(() => document.querySelector('main')?.focus({ preventScroll: true }))
  return other
}

// setQuery changes parameters of the address; empty ones go.
export function setQuery(change) {
  const q = new URLSearchParams(location.search)
  for (const [k, v] of Object.entries(change)) v ? q.set(k, v) : q.delete(k)
  const s = q.toString()
  go(location.pathname.slice(root.pathname.length) + (s ? '?' + s : ''), { replace: true })
}

export function startRouter() {
  addEventListener('popstate', arrive)
  document.addEventListener('click', (e) => {
    const a = e.target.closest?.('a[href]')
    if (!a || e.defaultPrevented || e.button || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey || a.hasAttribute('download')) return
    const href = typeof a.href === 'string' ? a.href : new URL(a.getAttribute('href'), root).href // in SVG
    const url = new URL(href)
    if (url.origin !== root.origin || !url.pathname.startsWith(root.pathname) || url.pathname.startsWith(root.pathname + 'v1/')) return
    e.preventDefault()
    go(href)
  })
}

// to is the address of a thing: "jobs/nightly". Dots alone would be a folder.
export const to = (kind, o, ...more) => {
  const ref = typeof o === 'string' ? o : /^\.{1,2}$/.test(o.name) ? o.uuid : (o.name ?? o.uuid)
  return [kind, encodeURIComponent(ref), ...more].join('/')
}
