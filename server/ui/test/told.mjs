// What people do with the page. Each story fails by throwing.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { api, enter, open, see, token, url } from './browser.mjs'
import { pages } from './pages.mjs'

const dir = process.env.SHIELD_TEST_DIR
const must = (ok, text) => {
  if (!ok) throw new Error(text)
}
const button = (page, name) => page.getByRole('button', { name, exact: true })
const link = (page, name) => page.getByRole('link', { name, exact: true })
const label = (page, name) => page.getByLabel(new RegExp(`^${name}( optional)?$`))
const state = (page, word) => page.locator('.head .state', { hasText: word }).waitFor()

// firstBackup: from the first visit to the first backup.
export async function firstBackup() {
  const page = await open()
  await link(page, 'Add a store').click()
  await label(page, 'Name').fill('nas')
  await label(page, 'Plugin').selectOption('fs')
  await page.getByLabel(/^Base directory|^Folder/).first().fill('not absolute')
  page.mayFail = true // the browser tells of the answer 400
  await button(page, 'Save and test').click()
  await page.locator('.field .wrong', { hasText: 'absolute path' }).waitFor()
  page.mayFail = false
  must(await page.getByLabel(/^Base directory|^Folder/).first().evaluate((e) => e === document.activeElement), 'the field that is wrong has not the focus')
  await page.getByLabel(/^Base directory|^Folder/).first().fill(`${dir}/store`)
  await button(page, 'Save and test').click()
  await page.getByText('The last test passed').waitFor()
  await link(page, 'add a target').click()
  await label(page, 'Name').fill('www')
  await label(page, 'Plugin').selectOption('fs')
  await page.getByLabel(/^Base directory|^Folder/).first().fill(`${dir}/data`)
  await button(page, 'Save and test').click()
  await page.getByText('The last test passed').waitFor()
  await link(page, 'Overview').click()
  await link(page, 'Say when').click()
  await label(page, 'Name').fill('nightly')
  await label(page, 'When').fill('daily 4:00')
  must((await label(page, 'Time zone').inputValue()) === 'Europe/Rome', 'the zone of the viewer is not proposed')
  await button(page, 'Save').click()
  await page.getByRole('heading', { name: 'nightly' }).waitFor()
  await link(page, 'Overview').click()
  await link(page, 'Say for how long').click()
  await label(page, 'Name').fill('month')
  await label(page, 'Keep every archive for').fill('30 days or so')
  await button(page, 'Save').click()
  await page.locator('.field .wrong', { hasText: 'duration' }).waitFor()
  await label(page, 'Keep every archive for').fill('30d')
  await button(page, 'Save').click()
  await page.getByText('is kept for 30 d').waitFor()
  await link(page, 'Overview').click()
  await link(page, 'Make the job').click()
  await label(page, 'Name').fill('www-nightly')
  await button(page, 'Save').click() // the only one of each is chosen
  await page.getByRole('heading', { name: 'www-nightly' }).waitFor()
  await button(page, 'Run now').first().click()
  await state(page, 'Done')
  await link(page, 'See the archive').click()
  await state(page, 'Valid')
  await link(page, 'Overview').click()
  await page.getByText('The target is protected').waitFor()
  await page.finish()
}

// restoreByClicking: back to the same target, with its name typed.
export async function restoreByClicking() {
  const page = await open()
  await link(page, 'Restore').click()
  await page.getByLabel('Data of').selectOption('www')
  await page.getByRole('radio').first().check()
  await button(page, 'Go on').click()
  await page.getByRole('radio', { name: /^www, where/ }).check()
  await button(page, 'Go on').click()
  const go = page.getByRole('button', { name: 'Restore to www' })
  await go.waitFor()
  await page.getByText('Looking at').waitFor({ state: 'detached' })
  must(await go.isDisabled(), 'a restore is offered before the name is typed')
  await page.getByLabel(/^Type/).fill('ww')
  must(await go.isDisabled(), 'a restore is offered for a part of the name')
  await page.getByLabel(/^Type/).fill('www')
  await go.click()
  await page.getByText('were restored to www').waitFor()
  await page.finish()
}

// liveLog: the log comes while the task runs, also after the connection broke;
// then the task is canceled.
export async function liveLog() {
  const page = await open()
  await see(page, 'jobs/slow')
  await button(page, 'Run now').first().click()
  await state(page, 'Running')
  const lines = page.locator('.log li', { hasText: 'still at it' })
  await lines.first().waitFor()
  page.mayFail = true
  await page.context().setOffline(true)
  await page.getByText('The connection is broken').waitFor()
  const before = await lines.count()
  await page.context().setOffline(false)
  await page.getByText('The connection is broken').waitFor({ state: 'detached' })
  await page.waitForFunction((n) => [...document.querySelectorAll('.log li')].filter((l) => l.textContent.includes('still at it')).length > n, before)
  const numbers = (await lines.allTextContents()).map((l) => Number(/still at it (\d+)/.exec(l)[1]))
  must(numbers.every((n, i) => n === i + 1), `lines are lost or come twice: ${numbers}`)
  page.mayFail = false
  await button(page, 'Cancel').click()
  await button(page, 'Cancel the task').click()
  await state(page, 'Canceled')
  await page.finish()
}

// secrets: what is typed as a secret is in no page and in no answer.
export async function secrets() {
  const secret = 'correct-horse-battery-staple'
  const page = await open()
  await see(page, 'stores/+')
  await label(page, 'Name').fill('vault')
  await label(page, 'Plugin').selectOption('plugin-sh')
  await label(page, 'Directory').fill(`${dir}/store`)
  await label(page, 'password').fill(secret)
  await button(page, 'Save and test').click()
  await page.getByRole('heading', { name: 'vault' }).waitFor()
  await page.getByText('stored, never shown').waitFor()
  const shown = async (where) => must(!(await page.content()).includes(secret) && !(await page.evaluate((s) => [...document.querySelectorAll('input,textarea')].some((i) => i.value.includes(s)), secret)), `the secret is shown ${where}`)
  await shown('after it was saved')
  await link(page, 'Edit').click()
  await page.getByText('A secret is stored').waitFor()
  await shown('in the form')
  await label(page, 'Summary').fill('changed')
  await button(page, 'Save and test').click()
  await page.getByText('changed', { exact: true }).waitFor()
  await page.getByText('stored, never shown').waitFor()
  for (const path of ['stores', 'tasks', 'events', 'stores/vault']) {
    await see(page, path)
    await shown(`in ${path}`)
  }
  await see(page, 'stores/vault/edit')
  await page.getByRole('button', { name: 'Remove it' }).click()
  await button(page, 'Save and test').click()
  await page.getByText('The last test passed').waitFor()
  must(!(await page.getByText('stored, never shown').isVisible()), 'a secret that was removed is there')
  const stored = await page.evaluate(() => JSON.stringify([localStorage, document.cookie]))
  must(!stored.includes(secret) && !stored.includes(token), 'a secret is kept beyond the tab')
  must(!page.bodies.some((b) => b.includes(secret)), 'an answer has the secret')
  must(!page.bodies.some((b) => b.includes(token)), 'an answer has the token')
  await page.finish()
}

// accessible: axe finds nothing serious on any page, light and dark; and no
// page is wider than a phone.
export async function accessible() {
  const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
  const faults = []
  for (const opts of [{}, { theme: 'dark' }, { width: 390, height: 844 }]) {
    const page = await open({ ...opts, entered: false })
    const look = async (name) => {
      if (!opts.width) await page.evaluate(axe) // narrow, only the layout differs
      const found = opts.width ? { violations: [] } : await page.evaluate(() => globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }))
      for (const v of found.violations) if (['serious', 'critical'].includes(v.impact)) faults.push(`${name} ${JSON.stringify(opts)}: ${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join(' | ')}`)
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
      if (wide > 0) faults.push(`${name} ${JSON.stringify(opts)}: ${wide} pixels wider than the window`)
    }
    await page.goto(url)
    await page.getByRole('heading', { name: 'Log in' }).waitFor()
    await look('login')
    await enter(page)
    for (const [name, path, prepare] of await pages()) {
      await see(page, path)
      await prepare?.(page)
      await look(name)
    }
    await page.finish()
  }
  must(!faults.length, faults.join('\n'))
}

// keyboard: to a page, and to its first action, without a mouse.
export async function keyboard() {
  const page = await open()
  await see(page, '')
  await page.keyboard.press('Tab')
  must((await page.evaluate(() => document.activeElement.textContent)) === 'To the content', 'the first stop does not lead to the content')
  await page.keyboard.press('Enter')
  must((await page.evaluate(() => document.activeElement.tagName)) === 'MAIN', 'the content has not the focus')
  await link(page, 'Jobs').focus()
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Jobs', level: 1 }).waitFor()
  must((await page.evaluate(() => document.activeElement.tagName)) === 'MAIN', 'a new page has not the focus')
  await link(page, 'www-nightly').focus()
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'www-nightly' }).waitFor()
  await page.getByRole('button', { name: 'Delete www-nightly' }).focus()
  await page.keyboard.press('Enter')
  await page.getByRole('dialog').waitFor()
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'hidden' })
  await page.finish()
}

// links: each address can be opened by itself; back and forward work; what is
// not there says so.
export async function links() {
  const page = await open()
  await see(page, 'tasks?status=done')
  must((await page.getByLabel('State').inputValue()) === 'done', 'the address does not set the filter')
  await page.locator('td a').first().click()
  await page.getByRole('heading', { level: 1, name: / of / }).waitFor()
  await page.goBack()
  await page.getByRole('heading', { level: 1, name: 'Tasks' }).waitFor()
  must(page.url().endsWith('tasks?status=done'), `back leads to ${page.url()}`)
  await page.reload()
  await page.getByRole('heading', { level: 1, name: 'Tasks' }).waitFor()
  const time = page.locator('time').first()
  await time.waitFor()
  must(/UTC/.test(await time.getAttribute('title')), 'a time does not say what it is in UTC')
  page.mayFail = true
  await see(page, 'nowhere')
  await page.getByText('There is no such page').waitFor()
  await page.goto(`${url}jobs/nobody`)
  await page.getByRole('alert').waitFor()
  page.mayFail = false
  await page.finish()
}

// mounted: the page under a prefix, and a session that ends.
export async function mounted() {
  const page = await open({ entered: false })
  await enter(page, 'deep/er/jobs/www-nightly')
  await page.getByRole('heading', { name: 'www-nightly' }).waitFor()
  await link(page, 'Targets').click()
  await page.getByRole('heading', { name: 'Targets' }).waitFor()
  must(new URL(page.url()).pathname === '/deep/er/targets', `the address is ${page.url()}`)
  await button(page, 'Log out').click()
  await page.getByRole('heading', { name: 'Log in' }).waitFor()
  page.mayFail = true
  const other = button(page, 'With a token')
  if (await other.isVisible()) await other.click()
  await page.getByLabel('Token', { exact: true }).fill('wrong')
  await button(page, 'Log in').click()
  await page.getByText('not a token of this daemon').waitFor()
  await page.finish()
}

// people: an admin makes a user, who logs in with a password, sees everything,
// is offered nothing that the role does not allow, and is refused it all the
// same.
export async function people() {
  const page = await open()
  await link(page, 'Users').click()
  await link(page, 'New user').click()
  await label(page, 'Name').fill('eve')
  await label(page, 'Role').selectOption('viewer')
  await label(page, 'Password').fill('short')
  page.mayFail = true
  await button(page, 'Save').click()
  await page.locator('.field .wrong').waitFor()
  page.mayFail = false
  await label(page, 'Password').fill('first of her passwords')
  await button(page, 'Save').click()
  await page.getByRole('heading', { name: 'eve' }).waitFor()
  await link(page, 'Audit').click()
  await page.getByText('createUser').first().waitFor()
  await button(page, 'Log out').click()

  const login = async (password) => {
    await page.getByLabel('Name', { exact: true }).fill('eve')
    await page.getByLabel('Password', { exact: true }).fill(password)
    await button(page, 'Log in').click()
  }
  page.mayFail = true
  await login('not her password')
  await page.getByText('do not belong together').waitFor()
  page.mayFail = false
  await login('first of her passwords')
  await page.getByRole('heading', { name: 'Overview' }).waitFor()
  must(!(await page.evaluate(() => document.cookie)), 'a script can read the cookie of the session')
  await page.reload()
  await page.getByRole('heading', { name: 'Overview' }).waitFor()
  for (const name of ['Users', 'Audit']) must(!(await link(page, name).isVisible()), `a viewer is offered ${name}`)
  await link(page, 'Jobs').click()
  await link(page, 'www-nightly').click()
  await page.getByRole('heading', { name: 'www-nightly' }).waitFor()
  await page.getByText('Newest archives').waitFor()
  for (const name of ['Run now', 'Pause', 'Delete www-nightly']) must(!(await button(page, name).first().isVisible()), `a viewer is offered ${name}`)
  must(!(await link(page, 'Edit').isVisible()), 'a viewer is offered Edit')
  await see(page, 'jobs/+')
  await page.getByText('Your role does not allow this').waitFor()
  await see(page, 'restore')
  await page.getByText('Your role does not restore').waitFor()
  page.mayFail = true
  const status = await page.evaluate(async () => (await fetch(new URL('v1/jobs/www-nightly/run', document.baseURI), { method: 'POST' })).status)
  must(status === 403, `a viewer who runs a job is answered with ${status}`)
  page.mayFail = false

  await link(page, 'Tokens').click()
  await label(page, 'Name').fill('grafana')
  await button(page, 'Make it').click()
  const value = await page.locator('.note code').textContent()
  must((await fetch(`${url}v1/status`, { headers: { Authorization: `Bearer ${value}` } })).status === 200, 'the new token does not work')
  await button(page, 'I have it').click()
  await page.getByRole('button', { name: 'Revoke grafana' }).click()
  await button(page, 'Revoke').click()
  await page.getByText('No token yet').waitFor()
  must((await fetch(`${url}v1/status`, { headers: { Authorization: `Bearer ${value}` } })).status === 401, 'a token works after it was revoked')

  await link(page, 'Settings').click()
  await label(page, 'Old password').fill('first of her passwords')
  await label(page, 'New password').fill('second of her passwords')
  await button(page, 'Change it').click()
  await page.getByText('Your password is changed').waitFor()
  await button(page, 'Log out').click()
  await login('second of her passwords')
  await page.getByRole('heading', { name: 'Overview' }).waitFor()
  await page.finish()
}

// plugin: a module is installed once what it asks for was shown.
export async function plugin() {
  const page = await open()
  await link(page, 'Plugins').click()
  await button(page, 'Install a plugin').click()
  const dialog = page.getByRole('dialog')
  const file = dialog.getByLabel('Module')
  await file.setInputFiles({ name: 'x.wasm', mimeType: 'application/wasm', buffer: Buffer.from('no module') })
  page.mayFail = true
  await button(page, 'See what it asks for').click()
  await dialog.getByRole('alert').waitFor()
  page.mayFail = false
  await file.setInputFiles(`${dir}/target.wasm`)
  await button(page, 'See what it asks for').click()
  await dialog.getByText('It asks for this').waitFor()
  must(!(await api('modules')).some((m) => m.name === 'commands'), 'it is installed before anybody agreed')
  await button(page, 'I agree: install it').click()
  await page.getByRole('row', { name: /^commands/ }).getByText('In the sandbox').waitFor()
  await page.finish()
}

// many: with a thousand jobs and a hundred thousand archives a page shows a part
// of them, and the search finds the rest.
export async function many() {
  const page = await open()
  for (const path of ['jobs', 'targets', 'archives', 'tasks', '']) {
    const start = Date.now()
    await page.goto(url + path)
    await page.locator(path ? 'main :is(tbody tr, .empty)' : '.verdict').first().waitFor()
    console.log(`${path || 'overview'}: ${Date.now() - start} ms`)
    const rows = await page.locator('tbody tr').count()
    must(rows <= 200, `${path} shows ${rows} rows at once`)
  }
  await see(page, 'jobs')
  const last = (await api('jobs')).map((j) => j.name).sort().at(-1)
  await page.getByLabel('Search').fill(last)
  await link(page, last).waitFor()
  await page.finish()
}

// mode: that the schedules do not mean what they say is said on every page.
export async function mode() {
  const page = await open()
  await page.getByText('Mode DEV: every schedule means every minute').waitFor()
  await page.finish()
}
