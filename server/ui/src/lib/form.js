// Between what the API has and what inputs hold.
import { seconds, spec } from './format.js'

export const hidden = '********'
const at = (o, path) => path.split('.').reduce((v, k) => v?.[k], o)

// toInputs returns what the inputs of fields show of an object.
export function toInputs(fields, o) {
  const out = {}
  for (const f of fields) {
    const v = at(o, f.name)
    if (f.type === 'bool') out[f.name] = v === undefined ? f.default === 'true' : v === true || v === 'true'
    else if (f.type === 'span') out[f.name] = spec(v)
    else if (f.type === 'lines') out[f.name] = (v ?? []).join('\n')
    else if (v === hidden) out[f.name] = ''
    else if (f.type === 'integer' && f.own && v === 0 && f.name !== 'priority') out[f.name] = ''
    else out[f.name] = v == null ? '' : typeof v === 'object' ? JSON.stringify(v) : String(v)
  }
  return out
}

// fromInputs returns the values of own fields, or throws { field, message }.
export function fromInputs(fields, inputs, fresh) {
  const out = {}
  for (const f of fields) {
    const v = inputs[f.name]
    const fail = (message) => { throw Object.assign(new Error(message), { field: f.name }) }
    if (f.required && (v === '' || v == null)) fail('is missing')
    let value = v
    if (f.type === 'span') {
      value = seconds(v)
      if (value === null) fail('must be a duration, like 90s, 36h or 30d')
    } else if (f.type === 'integer') {
      if (v === '' && fresh) continue
      if (!/^\d*$/.test(v.trim())) fail('must be a whole number')
      value = v.trim() === '' ? (f.name === 'priority' ? 50 : 0) : Number(v)
    } else if (f.type === 'lines') value = v.split('\n').map((l) => l.trim()).filter(Boolean)
    else if (typeof v === 'string' && !['text', 'password'].includes(f.type)) value = v.trim()
    if (fresh && (value === '' || (f.type === 'span' && value === 0) || value === false)) continue
    const keys = f.name.split('.')
    const last = keys.pop()
    let o = out
    for (const k of keys) o = o[k] ??= {}
    o[last] = value
  }
  return out
}

// endpointOf returns the endpoint that inputs mean. What a plugin does not
// declare is kept, and so is a secret, unless it is null.
export function endpointOf(fields, inputs, old = {}) {
  const out = { ...old }
  for (const f of fields) {
    const v = inputs[f.name]
    delete out[f.name]
    if (f.type === 'bool') {
      if (v !== (f.default === 'true') || f.name in old) out[f.name] = v
    } else if ((v ?? '') !== '') out[f.name] = v
    else if (old[f.name] === hidden && v !== null) out[f.name] = hidden
  }
  return out
}

// wrongOf is what a problem says of a field, with a capital letter.
export function wrongOf(problem, name) {
  const f = problem?.field
  if (!f) return ''
  const bare = f.replace(/\[.*$/, '')
  if (bare !== name && bare !== `endpoint.${name}` && bare !== name.split('.')[0] && bare !== `${name}_uuid`) return ''
  return `${problem.message[0].toUpperCase()}${problem.message.slice(1)}`
}

// toLimit is what the inputs show of the limit of a store, fromLimit the limit
// that they mean: without what is empty.
export const toLimit = (l = {}) => ({ up: l.up ?? '', down: l.down ?? '', timezone: l.timezone ?? '', windows: (l.windows ?? []).map((w) => ({ days: '', up: '', down: '', ...w })) })
const filled = (o) => Object.fromEntries(Object.entries(o).map(([k, v]) => [k, v.trim()]).filter(([, v]) => v))
export function fromLimit({ windows, timezone, ...rates }) {
  const l = filled(rates)
  return windows.length ? { ...l, ...filled({ timezone }), windows: windows.map(filled) } : l
}
