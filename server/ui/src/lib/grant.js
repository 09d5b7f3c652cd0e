// What plugins ask for, and what they are granted.

// lists are the kinds of a grant that are lists of texts.
export const lists = [
  { name: 'tcp', verb: 'connect to', title: 'Connections', example: '{host}:{port}' },
  { name: 'http', verb: 'ask over HTTP', title: 'HTTP requests', example: '{url}' },
  { name: 'read', verb: 'read', title: 'Folders to read', example: '{base_dir}' },
  { name: 'write', verb: 'write in', title: 'Folders to write in', example: '/srv/dumps' },
  { name: 'own', verb: 'set owners and make devices in', title: 'Folders to set owners in', example: '{base_dir}' },
]

// asks says in words what capabilities, or a grant, allow.
export function asks(c) {
  const out = lists.flatMap(({ name, verb }) => (c?.[name] ?? []).map((v) => `${verb} ${v}`))
  for (const v of namesOf(c?.exec)) out.push(`run ${v}`)
  if (c?.memory && c.memory !== '0B') out.push(`use memory up to ${c.memory}`)
  return out
}
const namesOf = (exec) => (Array.isArray(exec) ? exec : Object.keys(exec ?? {}))

const bytes = (s) => {
  const [, n, u] = /^(\d+)\s*(B|KiB|MiB|GiB|TiB)?$/.exec(String(s ?? 0)) ?? [0, 0, 'B']
  return n * 1024 ** ['B', 'KiB', 'MiB', 'GiB', 'TiB'].indexOf(u ?? 'B')
}

// beyond is what of the capabilities wanted is not in have.
export function beyond(have, wanted) {
  const out = {}
  for (const name of [...lists.map((l) => l.name), 'exec']) {
    const old = namesOf(have?.[name])
    out[name] = namesOf(wanted?.[name]).filter((v) => !old.includes(v))
  }
  if (bytes(wanted?.memory) > bytes(have?.memory)) out.memory = wanted.memory
  return out
}

const linesOf = (text) => text.split('\n').map((l) => l.trim()).filter(Boolean)
const parts = ['args', 'deny', 'env']

// toForm is what the inputs show of a grant, fromForm the grant that they mean.
export function toForm(grant) {
  const out = { memory: grant.memory ?? '', timeout: grant.timeout ?? '', isolation: grant.isolation ?? '', exec: [] }
  for (const { name } of lists) out[name] = (grant[name] ?? []).join('\n')
  for (const [name, c] of Object.entries(grant.exec ?? {})) out.exec.push({ name, path: c.path ?? '', ...Object.fromEntries(parts.map((p) => [p, (c[p] ?? []).join('\n')])) })
  return out
}
export function fromForm(form) {
  const out = {}
  for (const { name } of lists) if (linesOf(form[name]).length) out[name] = linesOf(form[name])
  for (const name of ['memory', 'timeout', 'isolation']) if (form[name].trim()) out[name] = form[name].trim()
  for (const c of form.exec) {
    if (!c.name.trim()) continue
    const command = ((out.exec ??= {})[c.name.trim()] = {})
    if (c.path.trim()) command.path = c.path.trim()
    for (const p of parts) if (linesOf(c[p]).length) command[p] = linesOf(c[p])
  }
  return out
}
