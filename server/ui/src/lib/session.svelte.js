// Who looks at the page, what the daemon is, and what it can.
import { get, hasToken, onLost, operations, useToken, whoami, logout } from './api.js'

export const session = $state({
  known: false, // whether it is known who looks
  user: null, // { name, role }
  status: null,
  ops: {}, // see operations
  trouble: null, // why the daemon cannot be asked
})

const roles = ['viewer', 'operator', 'engineer', 'admin']

// has says whether the daemon has an operation, may whether the role of who
// looks allows it.
export const has = (op) => op in session.ops
export const may = (op) => has(op) && roles.indexOf(session.user?.role) >= roles.indexOf(session.ops[op])

// What a tab knows is kept for when it is loaded again. Whether there is a
// session is kept, too, since its cookie cannot be seen.
const kept = 'shield-operations'
const entered = 'shield-session'

async function learn() {
  const old = JSON.parse(sessionStorage.getItem(kept) ?? 'null')
  session.ops = old ? old.ops : await operations()
  if (old) session.status = old.status
}

// begin finds out who looks. Every daemon can be asked for its schedules.
export async function begin() {
  session.trouble = null
  try {
    await learn()
    if (hasToken() || localStorage.getItem(entered)) {
      session.user = has('getSession') ? await whoami() : await get('schedules', { limit: 1 }).then(() => ({ name: 'admin', role: 'admin' }))
      session.user.token = hasToken()
      setTimeout(refresh, session.status ? 5000 : 0) // it is much work for the daemon
    }
  } catch (err) {
    session.user = null
    if (err.status === 401) {
      useToken('')
      localStorage.removeItem(entered)
      return begin()
    }
    session.trouble = err
  }
  session.known = true
}

// enter is called after a login with a password.
export async function enter() {
  localStorage.setItem(entered, 'yes')
  await begin()
}

let latest = 0 // of the readings begun: what an earlier one saw may be over

// refresh reads the state of the daemon. One that was started anew may be
// another release, which can do other things.
export async function refresh() {
  const { user } = session
  if (!user) return // logged out meanwhile
  const mine = ++latest
  const stale = () => mine !== latest || session.user !== user
  try {
    const status = await get('status')
    if (stale()) return
    if (session.status && session.status.started_at !== status.started_at) session.ops = await operations()
    if (stale()) return
    session.status = status
    const { release, mode, started_at } = status
    sessionStorage.setItem(kept, JSON.stringify({ ops: session.ops, status: { release, mode, started_at } }))
  } catch {
    // The page that is shown says so.
  }
}

export async function leave() {
  session.known = false // so that nothing is read any more that would be refused
  try {
    if (!session.user?.token) await logout() // which would revoke a token
  } finally {
    forget()
    session.known = true
  }
}

function forget() {
  useToken('')
  localStorage.removeItem(entered)
  Object.assign(session, { user: null, status: null })
}
onLost(() => session.user && forget())

// The theme: that of the system, unless chosen, and the one that is shown.
export const theme = $state({ chosen: localStorage.getItem('shield-theme') ?? '', shown: '' })
const dark = matchMedia('(prefers-color-scheme: dark)')
export function paint() {
  theme.shown = theme.chosen || (dark.matches ? 'dark' : 'light')
  document.documentElement.dataset.theme = theme.shown
}
dark.addEventListener('change', paint)
export function toggleTheme() {
  theme.chosen = theme.shown === 'dark' ? 'light' : 'dark'
  localStorage.setItem('shield-theme', theme.chosen)
  paint()
}

// Toasts say what has happened.
export const toasts = $state([])
let ids = 0
export function say(text, tone = 'good') {
  const id = ++ids
  toasts.push({ id, text, tone })
  setTimeout(() => drop(id), tone === 'bad' ? 12000 : 6000)
}
export function drop(id) {
  const i = toasts.findIndex((t) => t.id === id)
  if (i >= 0) toasts.splice(i, 1)
}
