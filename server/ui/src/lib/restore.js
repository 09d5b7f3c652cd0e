// Restores, and what is looked at before.
import { post, seg } from './api.js'
import { has } from './session.svelte.js'
import { follow, final } from './follow.js'

const route = (what) => (what.archive ? `archives/${seg(what.archive)}/restore` : `targets/${seg(what.from)}/restore`)
const body = (what, confirm) => ({ target: what.to || undefined, at: what.archive ? undefined : what.at || undefined, confirm })

// preflight looks whether a restore can be made, and returns its findings, or
// null where the daemon makes no preflights.
export async function preflight(what, onTask, signal) {
  if (!has('restoreArchive?dry_run')) return null
  let task = await post(route(what), body(what, ''), { dry_run: true })
  await follow(task.uuid, { signal, onLines() {}, onTrouble() {}, onTask: (t) => onTask((task = t)) })
  if (!final(task.status)) return null
  return { findings: task.findings?.preflight ?? [], task }
}

// restore asks for the restore and returns its task.
export async function restore(what, confirm) {
  return post(route(what), body(what, has('restoreArchive?dry_run') ? confirm : undefined))
}
