// runsWith returns the runs and, as if they were some, the backups that were
// asked for out of turn.
const as = { done: 'succeeded', failed: 'failed', canceled: 'skipped', running: 'started', pending: 'started' }

export function runsWith(runs, tasks) {
  const known = new Set(runs.map((r) => r.task_uuid))
  const more = tasks
    .filter((t) => t.op === 'backup' && t.job_uuid && !known.has(t.uuid) && t.owner !== 'system')
    .map((t) => ({ uuid: t.uuid, job_uuid: t.job_uuid, due_at: t.requested_at, status: as[t.status], reason: `asked for by ${t.owner}` }))
  return [...runs, ...more]
}
