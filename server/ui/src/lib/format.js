// Words for times, sizes and durations.

const never = '0001-01-01T00:00:00Z'
export const isTime = (t) => !!t && t !== never
export const ms = (t) => (isTime(t) ? Date.parse(t) : 0)

const pad = (n) => String(n).padStart(2, '0')
const day = (d) => `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())}`
export const dayOf = (t) => day(new Date(t))

// border is when a day of the viewer begins, or one so many days later; empty
// for what is no day.
export function border(text, days = 0) {
  if (!/^\d{4}-\d\d-\d\d$/.test(text)) return ''
  const d = new Date(`${text}T00:00`)
  d.setDate(d.getDate() + days)
  return d.toISOString()
}

// local is a time in the viewer's zone.
export function local(t, seconds = false) {
  if (!isTime(t)) return '–'
  const d = new Date(t)
  return `${day(d)} ${pad(d.getHours())}:${pad(d.getMinutes())}${seconds ? ':' + pad(d.getSeconds()) : ''}`
}
export const clock = (t) => {
  const d = new Date(t)
  return `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`
}
export const hourMinute = (t) => clock(t).slice(0, 5)
export const utc = (t) => (isTime(t) ? new Date(t).toISOString().replace('T', ' ').replace(/\.\d+Z$/, ' UTC') : '')

const steps = [[60, 'second'], [60, 'minute'], [24, 'hour'], [30, 'day'], [12, 'month'], [Infinity, 'year']]
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })
export function ago(t, now = Date.now()) {
  let n = (ms(t) - now) / 1000
  for (const [size, unit] of steps) {
    if (Math.abs(n) < size) return unit === 'second' && Math.abs(n) < 5 ? 'just now' : relative.format(Math.round(n), unit)
    n /= size
  }
}

export function size(n) {
  if (n == null) return '–'
  if (n < 1024) return `${n} B`
  const units = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let u = -1
  do { n /= 1024; u++ } while (n >= 1023.5 && u < units.length - 1)
  return `${n >= 100 ? Math.round(n) : n.toFixed(1)} ${units[u]}`
}

// span is a duration in seconds for reading: "2 h 5 min".
export function span(s) {
  if (s == null || s < 0) return '–'
  if (s < 1) return 'under 1 s'
  if (s < 60) return `${Math.round(s)} s`
  const parts = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']]
  const out = []
  for (const [n, unit] of parts) {
    const k = Math.floor(s / n)
    s -= k * n
    if (k) out.push(`${k} ${unit}`)
    if (out.length === 2) break
  }
  return out.join(' ')
}

const unit = { s: 1, m: 60, min: 60, h: 3600, d: 86400, w: 604800, y: 31536000 }

// seconds reads "36h" or "1d 12h"; null if it is no duration.
export function seconds(text) {
  text = String(text ?? '').trim().toLowerCase()
  if (text === '' || text === '0') return 0
  if (/^\d+$/.test(text)) return Number(text)
  if (!/^(\d+(\.\d+)?\s*(s|min|m|h|d|w|y)\s*)+$/.test(text)) return null
  let total = 0
  for (const [, n, , u] of text.matchAll(/(\d+(\.\d+)?)\s*(min|s|m|h|d|w|y)/g)) total += n * unit[u]
  return Math.round(total)
}

// spec is a duration as seconds reads it.
export function spec(s) {
  if (!s) return ''
  for (const u of ['d', 'h', 'm']) if (s % unit[u] === 0) return `${s / unit[u]}${u}`
  return `${s}s`
}

export const count = (n, one, many = one + 's') => `${n.toLocaleString('en')} ${n === 1 ? one : many}`
export const took = (t) => (isTime(t.started_at) ? ((ms(t.stopped_at) || Date.now()) - ms(t.started_at)) / 1000 : null)
export const rank = (a, b) => a.name.localeCompare(b.name)
