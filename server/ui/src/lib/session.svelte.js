// Who looks at the page, what the daemon is, and what it can.
import { exists, get, hasToken, onLost, useToken, whoami, logout } from './api.js'

export const session = $state({
  known: false, // whether it is known who looks
  user: null, // { name, role }
  passwords: true, // whether the daemon knows users
  status: null,
  has: {}, // parts of the API that not every daemon has
})

const rights = { viewer: 0, operator: 1, admin: 2, owner: 2 }

// may says whether the role allows what at least so high a role may.
export const may = (role = 'operator') => (rights[session.user?.role] ?? 2) >= rights[role]

export async function begin() {
  try {
    if (hasToken()) {
      session.status = await get('status')
      session.user = { name: 'admin', role: 'admin', token: true }
    } else {
      const who = await whoami()
      session.passwords = who !== null
      session.user = who
    }
  } catch (err) {
    session.user = null
    if (hasToken() && err.status === 401) useToken('')
  }
  session.known = true
  if (session.user) await entered()
}

export async function entered() {
  await refresh()
  for (const part of ['agents', 'users', 'tokens', 'audit']) {
    session.has[part] = await exists(part, part === 'audit' ? { limit: 1 } : {})
  }
}

export async function refresh() {
  try {
    session.status = await get('status')
  } catch {
    // The page that is shown says so.
  }
}

export async function leave() {
  try {
    if (!session.user?.token) await logout()
  } finally {
    useToken('')
    Object.assign(session, { user: null, status: null, has: {} })
  }
}

onLost(() => {
  useToken('')
  session.user = null
})

// The theme: that of the system, unless chosen.
export const theme = $state({ chosen: localStorage.getItem('shield-theme') ?? '' })
const dark = matchMedia('(prefers-color-scheme: dark)')
export function paint() {
  document.documentElement.dataset.theme = theme.chosen || (dark.matches ? 'dark' : 'light')
}
dark.addEventListener('change', paint)
export function toggleTheme() {
  theme.chosen = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark'
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
