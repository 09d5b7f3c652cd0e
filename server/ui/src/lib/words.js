const ops = {
  backup: 'Backup', restore: 'Restore', preflight: 'Look before a restore', purge: 'Purge', 'test-store': 'Test of a store', 'check-store': 'Check of a store',
  reconcile: 'Reconciliation', 'test-target': 'Test of a target', 'probe-target': 'Probe of a target', verify: 'Verification', 'agent-status': 'Question to an agent',
}
export const opWord = (op) => ops[op] ?? op
export const opNames = Object.keys(ops)

const codes = {
  target_failed: 'The target failed', store_failed: 'The store failed', plugin_failed: 'The plugin failed', corrupt: 'The data is damaged',
  unavailable: 'Not reachable', interrupted: 'Interrupted', timed_out: 'A deadline passed', locked: 'The store keeps it for now',
  canceled: 'Canceled', conflict: 'Conflict', not_found: 'Not found', invalid: 'Not valid', internal: 'A defect in shield',
}
export const codeWord = (c) => codes[c] ?? 'Failed'

const helps = {
  target_failed: 'Look at the lines of the target below, then test the target.',
  store_failed: 'Look at the lines of the store below, then test the store.',
  corrupt: 'Take a fresh backup now, and restore an older archive if you need the data.',
  unavailable: 'Test the target and the store. Scheduled backups are tried again by themselves.',
  timed_out: 'Raise the time limit of the job if it needs longer than it used to.',
  interrupted: 'Run it again: the daemon was stopped meanwhile.',
}
export const codeHelp = (c) => helps[c] ?? ''
