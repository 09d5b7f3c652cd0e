// Restores, and what is looked at before.
import { post, seg } from './api.js'
import { follow, final } from './follow.js'

const route = (what) => (what.archive ? `archives/${seg(what.archive)}/restore` : `targets/${seg(what.from)}/restore`)
const body = (what, confirm) => ({ target: what.to || undefined, at: what.archive ? undefined : what.at || undefined, confirm })

// A daemon without preflights refuses the field confirm, and so cannot take a
// dry run for a restore.
const unknown = (err) => err.status === 400 && err.field === 'confirm'

// preflight looks whether a restore can be made, and returns its findings, or
// null where the daemon makes no preflights.
export async function preflight(what, onTask, signal) {
  let task
  try {
    task = await post(route(what), body(what, ''), { dry_run: true })
  } catch (err) {
    if (unknown(err)) return null
    throw err
  }
  if (!task.uuid) return { findings: task.findings ?? task, task: null }
  await follow(task.uuid, { signal, onLines() {}, onTrouble() {}, onTask: (t) => onTask((task = t)) })
  if (!final(task.status)) return null
  return { findings: task.findings?.preflight ?? task.findings?.findings ?? [], task }
}

// restore asks for the restore and returns its task.
export async function restore(what, confirm) {
  try {
    return await post(route(what), body(what, confirm))
  } catch (err) {
    if (!unknown(err)) throw err
    return post(route(what), body(what, undefined))
  }
}
