// How well targets are protected, from their jobs and backups.
import { isTime, ms } from './format.js'

// lastOf maps jobs to their last backups that have ended, from tasks, the
// newest first.
export function lastOf(tasks) {
  const last = {}
  for (const t of tasks) if (t.job_uuid && ['done', 'failed'].includes(t.status)) last[t.job_uuid] ??= t
  return last
}

// stateOf says how a job is doing.
export function stateOf(job, last, now = Date.now()) {
  if (job.paused) return 'paused'
  if (last?.status === 'failed' && ms(last.requested_at) > ms(job.last_success)) return 'failing'
  if (job.breached) return 'late'
  if (isTime(job.next_due) && ms(job.next_due) < now - 10 * 60000) return 'late'
  return isTime(job.last_success) ? 'protected' : 'waiting'
}

const order = ['failing', 'late', 'protected', 'waiting']

// protection says the state of each target: the worst of its jobs that are not
// paused, and unprotected without any. A scratch target needs no protection.
export function protection(targets, jobs, last) {
  return targets.map((target) => {
    const own = jobs.filter((j) => j.target_uuid === target.uuid)
    const states = own.map((j) => stateOf(j, last[j.uuid])).filter((s) => s !== 'paused')
    const state = order.find((s) => states.includes(s)) ?? (target.scratch ? 'scratch' : 'unprotected')
    return {
      target, jobs: own, state,
      success: own.map((j) => j.last_success).filter(isTime).sort().at(-1),
      next: own.map((j) => j.next_due).filter(isTime).sort()[0],
    }
  })
}
