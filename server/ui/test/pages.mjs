// Every page there is, as [name, path, what to do there first].
import { api } from './browser.mjs'

export async function pages() {
  const [jobs, archives, tasks, doc] = await Promise.all([api('jobs'), api('archives?status=valid'), api('tasks?limit=200'), api('openapi.json')])
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
  for (const part of ['agents', 'users', 'tokens', 'audit']) if (doc.paths[`/v1/${part}`]) list.push([part, part])
  if (doc.paths['/v1/users']) list.push(['new-user', 'users/+'])
  if (archive) {
    list.push(['archive', `archives/${archive.uuid}`])
    list.push(['restore-what', `restore?target=${seg(archive.target)}&archive=${archive.uuid}`])
    list.push(['restore-where', `restore?archive=${archive.uuid}&step=2`])
    list.push(['restore-confirm', `restore?archive=${archive.uuid}&to=${seg(archive.target)}&step=3`, async (p) => { await p.getByText('Looking at').waitFor({ state: 'detached' }); }])
  }
  if (done) list.push(['task', `tasks/${done.uuid}`])
  if (failed) list.push(['task-failed', `tasks/${failed.uuid}`])
  return list
}
