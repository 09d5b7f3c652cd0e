// Every page there is, as [name, path, what to do there first].
import { api } from './browser.mjs'

export async function pages() {
  const [jobs, archives, tasks, agents, users, modules] = await Promise.all([api('jobs'), api('archives?status=valid'), api('tasks?limit=200'), api('agents'), api('users'), api('modules')])
  const job = jobs.find((j) => j.name === 'shop-nightly') ?? jobs[0]
  const archive = archives.find((a) => a.target === job.target) ?? archives[0]
  const done = tasks.find((t) => t.op === 'backup' && t.status === 'done')
  const failed = tasks.find((t) => t.status === 'failed')
  const seg = encodeURIComponent
  const list = [
    ['overview', ''], ['jobs', 'jobs'], ['targets', 'targets'], ['stores', 'stores'], ['schedules', 'schedules'], ['retention', 'retention'],
    ['archives', 'archives'], ['tasks', 'tasks'], ['events', 'events'], ['plugins', 'plugins'], ['settings', 'settings'], ['nowhere', 'nowhere'],
    ['job', `jobs/${seg(job.name)}`], ['target', `targets/${seg(job.target)}`], ['store', `stores/${seg(job.store)}`],
    ['schedule', `schedules/${seg(job.schedule)}`], ['policy', `retention/${seg(job.retention_policy)}`],
    ['new-job', 'jobs/+'], ['new-schedule', 'schedules/+', (p) => p.getByLabel('When').fill('weekdays 22:00')],
    ['new-policy', 'retention/+', (p) => p.locator('summary').click()], ['edit-target', `targets/${seg(job.target)}/edit`],
    ['new-store', 'stores/+', async (p) => {
      await p.getByLabel('Plugin').selectOption('s3').catch(() => p.getByLabel('Plugin').selectOption('fs'))
      await p.getByRole('button', { name: 'Save' }).click()
      await p.locator('.wrong').first().waitFor()
    }],
    ['restore', 'restore'], ['new-target', 'targets/+', async (p) => { await p.getByLabel('Plugin').selectOption('fs'); await p.locator('summary').click() }],
    ['install', 'plugins', (p) => p.getByRole('button', { name: 'Install a plugin' }).click()],
  ]
  for (const part of ['agents', 'users', 'tokens', 'audit']) list.push([part, part])
  list.push(['new-user', 'users/+'], ['plugin', 'plugins/fs'], ['new-agent', 'agents', (p) => p.getByRole('button', { name: 'Add an agent' }).click()])
  list.push(['store-limit', `stores/${seg(job.store)}/edit`, async (p) => {
    await p.getByText('Bandwidth').click()
    await p.getByRole('button', { name: 'A time of the day with other rates' }).click()
  }])
  if (agents.length) list.push(['agent', `agents/${seg(agents[0].name)}`])
  if (users.length) list.push(['user', `users/${seg(users[0].name)}`])
  if (modules.length) {
    list.push(['plugin-module', `plugins/${seg(modules[0].name)}`])
    list.push(['plugin-grant', `plugins/${seg(modules[0].name)}`, (p) => p.getByRole('button', { name: 'Change' }).click()])
    const other = `${process.env.SHIELD_TEST_DIR}/${modules.some((m) => m.version === '2.0.0') ? 'target' : 'target2'}.wasm`
    list.push(['plugin-other', `plugins/${seg(modules[0].name)}`, async (p) => {
      await p.getByRole('button', { name: 'Another version' }).click()
      await p.getByLabel('Module').setInputFiles(other)
      await p.getByRole('button', { name: 'See what it asks for' }).click()
      await p.getByText('It replaces version').waitFor()
    }])
  }
  if (archive) {
    list.push(['archive', `archives/${archive.uuid}`])
    list.push(['download', `archives/${archive.uuid}`, (p) => p.getByRole('button', { name: 'Download' }).first().click()])
    list.push(['restore-time', `restore?target=${seg(archive.target)}`])
    list.push(['restore-what', `restore?target=${seg(archive.target)}&archive=${archive.uuid}`])
    list.push(['restore-where', `restore?archive=${archive.uuid}&step=2`])
    list.push(['restore-confirm', `restore?archive=${archive.uuid}&to=${seg(archive.target)}&step=3`, async (p) => { await p.getByText('Looking at').waitFor({ state: 'detached' }); }])
  }
  const restored = tasks.find((t) => t.op === 'restore' && t.status === 'done')
  if (restored) list.push(['restore-done', `restore?task=${restored.uuid}`])
  if (done) list.push(['task', `tasks/${done.uuid}`])
  if (failed) list.push(['task-failed', `tasks/${failed.uuid}`])
  return list
}
