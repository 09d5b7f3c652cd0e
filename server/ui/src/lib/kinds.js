// What users make: how it is called, and the fields of its form that do not
// come from a plugin. A field with when is for daemons that have that operation.
// Types beside those of plugins: integer, span (a duration in seconds, written
// like 36h) and lines (a list).
export const zones = Intl.supportedValuesOf?.('timeZone') ?? []
const zone = { name: 'timezone', title: 'Time zone', placeholder: 'UTC', suggest: zones, help: 'An IANA name, like Europe/Rome. Empty means that of the daemon’s settings, or UTC.' }
const name = { name: 'name', title: 'Name', required: true, help: 'What people will call it.' }
const summary = { name: 'summary', title: 'Summary' }
const maxTasks = { name: 'max_tasks', title: 'Tasks at once', type: 'integer', help: 'Empty or 0: no limit of its own.' }
const choose = (kind) => ({ type: 'ref', kind, required: true })

export const kinds = {
  targets: {
    op: 'Target', one: 'target', title: 'Targets', icon: 'target', role: 'target',
    lead: 'The data systems that shield protects.',
    empty: 'A target is a data system that shield is to protect: a folder, a database, a message broker.',
    fields: [name, summary], more: [{ name: 'agent', title: 'Agent', help: 'The agent that reaches it. Empty: the daemon itself.' }, maxTasks,
      { name: 'scratch', title: 'Made to be overwritten', type: 'bool', help: 'A restore into it needs no confirmation, and it needs no protection.', when: 'restoreArchive?dry_run' }],
  },
  stores: {
    op: 'Store', one: 'store', title: 'Stores', icon: 'store', role: 'store',
    lead: 'Where archives are kept.',
    empty: 'A store is where archives go: a folder on another disk, a bucket, a server.',
    fields: [name, summary], more: [maxTasks, { name: 'agent', title: 'Agent', help: 'The agent that reaches it. Empty: whoever needs it.', when: 'listAgents' }],
  },
  schedules: {
    op: 'Schedule', one: 'schedule', title: 'Schedules', icon: 'clock',
    lead: 'When jobs run.',
    empty: 'A schedule says when jobs run, in words: daily 4:00, weekdays 22:00, every 15 minutes.',
    fields: [name, { name: 'timespec', title: 'When', required: true, help: 'In words, as a cron line, or as systemd writes it.', example: 'daily 4:00, weekdays 22:00, last friday at 23:00',
      suggest: ['daily 4:00', 'weekdays 22:00', 'sundays 8am', 'hourly at :15', 'every 15 minutes', 'every 4 hours', 'monthly 2:00 on 1st', 'last friday at 23:00'] }, zone, summary],
    more: [{ name: 'jitter', title: 'Spread', type: 'span', help: 'Each job on it starts at its own time, less than this later.', example: '10m' },
      { name: 'blackout', title: 'Not during', type: 'lines', help: 'Windows in which no run starts, one a line.', example: 'weekdays 8:00 to 18:00' },
      { name: 'catch_up', title: 'Missed runs', type: 'enum', options: [{ value: 'one', label: 'Make up for one' }, { value: 'none', label: 'Leave them out' }], none: 'Default (make up for one)' }],
  },
  retention: {
    op: 'Policy', one: 'retention policy', title: 'Retention', icon: 'retention',
    lead: 'How long archives are kept, and what must survive that.',
    empty: 'A retention policy says how long archives are kept. The newest valid one of a target is never purged.',
    fields: [name, { name: 'expiry', title: 'Keep every archive for', type: 'span', required: true, example: '30d' }, summary],
    more: [
      { name: 'keep_last', title: 'Newest ones', type: 'integer', half: true }, { name: 'keep_hourly', title: 'Hourly ones', type: 'integer', half: true },
      { name: 'keep_daily', title: 'Daily ones', type: 'integer', half: true }, { name: 'keep_weekly', title: 'Weekly ones', type: 'integer', half: true },
      { name: 'keep_monthly', title: 'Monthly ones', type: 'integer', half: true }, { name: 'keep_yearly', title: 'Yearly ones', type: 'integer', half: true },
      { name: 'min_valid', title: 'Newest valid ones of a target, never purged', type: 'integer', default: '1', help: 'A daily one is the newest of its day, and so on; the numbers say for how many days, weeks or months that have any.' }, { ...zone, help: 'Of hours, days and so on. An IANA name; empty: UTC.' }],
    moreTitle: 'What is kept beyond that',
  },
  jobs: {
    op: 'Job', one: 'job', title: 'Jobs', icon: 'job',
    lead: 'A job backs up a target into a store, on a schedule, under a retention policy.',
    empty: 'A job joins a target, a store, a schedule and a retention policy: what, where to, when, and for how long.',
    fields: [name,
      { name: 'target', title: 'Target', ...choose('targets') }, { name: 'store', title: 'Store', ...choose('stores') },
      { name: 'schedule', title: 'Schedule', ...choose('schedules') }, { name: 'retention_policy', title: 'Retention', ...choose('retention') }, summary],
    more: [
      { name: 'rpo', title: 'Newest good backup at most', type: 'span', help: 'The objective: how old it may be before the job counts as late.', example: '26h' },
      { name: 'compression', title: 'Compression', type: 'enum', enum: ['fastest', 'default', 'better', 'none', 'raw'], none: 'As fits the store' },
      { name: 'unencrypted', title: 'Store without encryption', type: 'bool', help: 'Whoever reads the store can then read the data.' },
      { name: 'overlap', title: 'If the last backup still runs', type: 'enum', none: 'Default (skip)', options: [{ value: 'skip', label: 'Skip the new run' }, { value: 'queue', label: 'Wait for its end' }, { value: 'replace', label: 'Cancel it and start anew' }] },
      { name: 'priority', title: 'Priority', type: 'integer', help: '0 goes first, 100 last.', default: '50', half: true },
      { name: 'attempts', title: 'Attempts', type: 'integer', help: 'Empty: as the daemon is set.', half: true },
      { name: 'backoff', title: 'Wait before the second', type: 'span', example: '1m', half: true },
      { name: 'timeout', title: 'Time limit', type: 'span', example: '6h', half: true },
      { name: 'idle_timeout', title: 'Limit without progress', type: 'span', example: '30m', half: true }],
  },
}

const roleWords = {
  viewer: 'viewer: sees everything but secrets', operator: 'operator: runs, restores, downloads, cancels, holds, pauses',
  engineer: 'engineer: configures, and deletes archives, too', admin: 'admin: users, plugins and the audit log, too',
}
export const roleOptions = Object.entries(roleWords).map(([value, label]) => ({ value, label }))

kinds.users = {
  op: 'User', one: 'user', title: 'Users', icon: 'user',
  lead: 'Who may do what. The daemon’s own token stays, for when nobody can log in.',
  empty: 'A user logs in with a name and a password, and may do what the role allows.',
  fields: [{ ...name, help: 'To log in with.' }, { name: 'role', title: 'Role', type: 'enum', required: true, options: roleOptions },
    { name: 'password', title: 'Password', type: 'password', required: true, help: '10 characters or more.' }, summary],
  more: [{ name: 'disabled', title: 'Locked out', type: 'bool', help: 'Neither the password nor the tokens of the user work.' }],
}
