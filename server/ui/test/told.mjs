// What people do with the page. Each story fails by throwing.
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { api, enter, open, see, show, token, url } from './browser.mjs'
import { pages } from './pages.mjs'

const dir = process.env.SHIELD_TEST_DIR
const must = (ok, text) => {
  if (!ok) throw new Error(text)
}
const button = (page, name) => page.getByRole('button', { name, exact: true })
const link = (page, name) => page.getByRole('link', { name, exact: true })
const label = (page, name) => page.getByLabel(new RegExp(`^${name}( optional)?$`))
const state = (page, word) => page.locator('.head .state').and(page.getByText(word, { exact: true })).waitFor()

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

// restoreByClicking: the target as it was at a time, back to where it was, with
// its name typed.
export async function restoreByClicking() {
  const page = await open()
  await link(page, 'Restore').click()
  await page.getByLabel('Data of').selectOption('www')
  await page.getByText('That is the archive of').waitFor()
  await page.getByLabel('Time', { exact: true }).fill('2001-02-03T04:05')
  await page.getByText('www has no valid archive from 2001-02-03 04:05 or before').waitFor()
  must(await button(page, 'Go on').isDisabled(), 'a restore of nothing is offered')
  const soon = await page.evaluate(() => {
    const d = new Date(Date.now() + 60000)
    return new Date(d - d.getTimezoneOffset() * 60000).toISOString().slice(0, 16)
  })
  await page.getByLabel('Time', { exact: true }).fill(soon)
  await page.getByText('That is the archive of').waitFor()
  await button(page, 'Go on').click()
  await page.getByRole('radio', { name: /^www, where/ }).check()
  await button(page, 'Go on').click()
  const go = page.getByRole('button', { name: 'Restore to www' })
  await go.waitFor()
  await page.getByText('Looking at').waitFor({ state: 'detached' })
  await page.getByLabel('Findings').getByText('Space').waitFor()
  must(await go.isDisabled(), 'a restore is offered before the name is typed')
  await page.getByLabel(/^Type/).fill('ww')
  must(await go.isDisabled(), 'a restore is offered for a part of the name')
  await page.getByLabel(/^Type/).fill('www')
  const asked = page.waitForRequest((r) => r.url().endsWith('v1/targets/www/restore'))
  await go.click()
  must((await asked).postDataJSON().at, 'the restore does not say as of when')
  await page.getByText('were restored to www').waitFor()
  await page.reload() // the result has an address
  await page.getByText('were restored to www').waitFor()
  await page.finish()
}

// restoreArchive: a certain archive, to a target that may be overwritten.
export async function restoreArchive() {
  const page = await open()
  const archive = (await api('archives?status=valid&target=www'))[0]
  await see(page, `archives/${archive.uuid}`)
  await page.getByText('by admin').waitFor()
  await link(page, 'Restore').last().click()
  await page.getByRole('radio', { name: /^A certain archive/ }).waitFor()
  must(await page.getByRole('radio', { name: /^A certain archive/ }).isChecked(), 'the archive that one came from is not chosen')
  await button(page, 'Go on').click()
  await page.getByRole('radio', { name: /^copy, a scratch target/ }).check()
  await button(page, 'Go on').click()
  await page.getByRole('button', { name: 'Restore to copy' }).click() // which is so once everything was looked at
  await page.getByText('were restored to copy').waitFor()
  await page.getByText('Log', { exact: true }).waitFor()
  await page.finish()
}

// download: an archive, opened and as it is stored, with a token and with a
// session. The files are compared with what is behind them.
export async function download() {
  const page = await open({ entered: false })
  const archive = (await api('archives?status=valid&target=www'))[0]
  const password = 'a password for downloads'
  page.secrets.push(password)
  await fetch(`${url}v1/users`, { method: 'POST', headers: { Authorization: `Bearer ${token}` }, body: JSON.stringify({ name: 'dora', role: 'operator', password }) })
  const take = async (way, to) => {
    await page.getByRole('button', { name: 'Download', exact: true }).click()
    const begun = page.waitForEvent('download')
    await page.getByRole('dialog').getByRole(to.startsWith('token') ? 'button' : 'link', { name: `Download it ${way}` }).click()
    await (await begun).saveAs(`${dir}/${to}`)
    await page.getByRole('dialog').waitFor({ state: 'hidden' })
  }
  const both = async (who) => {
    await take('as the target gave it', `${who}.opened`)
    await take('as it is stored', `${who}.stored`)
  }
  await enter(page, `archives/${archive.uuid}`)
  for (const key of archive.recipients) await page.getByText(key).waitFor()
  must(archive.recipients.length > 0, 'the archive does not say which keys open it')
  await both('token')
  await button(page, 'Log out').click()
  await page.goto(`${url}archives/${archive.uuid}`)
  await page.getByLabel('Name', { exact: true }).fill('dora')
  await page.getByLabel('Password', { exact: true }).fill(password)
  await button(page, 'Log in').click()
  await both('session')
  for (const [kind, size] of [['opened', archive.raw_size], ['stored', archive.stored_size]]) {
    const [a, b] = ['token', 'session'].map((who) => readFileSync(`${dir}/${who}.${kind}`))
    must(a.length === size && a.equals(b), `${kind}: ${a.length} and ${b.length} bytes, not twice the same ${size}`)
  }
  await page.finish()
}

// broken has the proxy between page and daemon break every connection, or no
// more.
const broken = (is) => fetch(`${url}${is ? 'break' : 'mend'}`)
const counted = async (lines) => (await lines.allTextContents()).map((l) => Number(/still at it (\d+)/.exec(l)[1]))

// liveLog: the log comes while the task runs, every line once, over a
// connection that is cut again and again; then the task is canceled.
export async function liveLog() {
  const page = await open()
  let connections = 0
  page.on('request', (r) => (connections += r.url().endsWith('/log') ? 1 : 0))
  page.mayFail = true // the browser tells of connections that break
  await see(page, 'jobs/slow')
  await button(page, 'Run now').first().click()
  await state(page, 'Running')
  const lines = page.locator('.log li', { hasText: 'still at it' })
  await lines.nth(20).waitFor()
  must(connections >= 5, `the log came over ${connections} connections: none was cut`)
  await broken(true)
  await page.getByText('The connection is broken').waitFor()
  const before = await lines.count()
  await broken(false)
  await page.getByText('The connection is broken').waitFor({ state: 'detached' })
  await lines.nth(before + 2).waitFor()
  const numbers = await counted(lines)
  must(numbers.every((n, i) => n === i + 1), `lines are lost or come twice: ${numbers}`)
  await button(page, 'Cancel').click()
  await button(page, 'Cancel the task').click()
  await state(page, 'Canceled')
  must(connections < 60, `${connections} connections were made`)
  await page.finish()
}

// events: they come by themselves, also those of while the connection was broken.
export async function events() {
  const page = await open()
  await see(page, 'events')
  let asked = 0
  page.on('request', (r) => (asked += /v1\/events\?/.test(r.url()) ? 1 : 0))
  const happen = async () => {
    const task = await (await fetch(`${process.env.SHIELD_DAEMON}/v1/stores/nas/test`, { method: 'POST', headers: { Authorization: `Bearer ${token}` } })).json()
    return page.locator(`tbody a[href="tasks/${task.uuid}"]`)
  }
  const first = await happen()
  await first.waitFor()
  page.mayFail = true
  await broken(true)
  await page.getByText('The connection is broken').waitFor()
  const second = await happen()
  await broken(false)
  await second.waitFor()
  await page.getByText('The connection is broken').waitFor({ state: 'detached' })
  must((await first.count()) === 1 && (await second.count()) === 1, 'an event is lost or comes twice')
  must(asked === 0, 'the list of events is read again')
  await page.finish()
}

// secrets: what is typed as a secret is in no page and in no answer.
export async function secrets() {
  const secret = 'correct-horse-battery-staple'
  const page = await open()
  page.secrets.push(secret)
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
  const test = (await api('tasks?store=vault&op=test-store&limit=1'))[0]
  for (const path of ['stores', 'tasks', 'events', 'audit', 'plugins/plugin-sh', `tasks/${test.uuid}`, 'stores/vault']) {
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
  await page.finish()
}

// accessible: axe finds nothing serious on any page, nor, in the dark, colours
// that cannot be told apart; and no page is wider than a phone.
export async function accessible() {
  const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
  const faults = []
  const page = await open({ entered: false })
  const size = page.viewportSize()
  const judge = async (name, only) => {
    const found = await page.evaluate((o) => globalThis.axe.run(document, { runOnly: o, resultTypes: ['violations'] }), only)
    for (const v of found.violations) if (['serious', 'critical'].includes(v.impact)) faults.push(`${name}: ${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join(' | ')}`)
  }
  const look = async (name) => {
    await judge(name, { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
    await page.emulateMedia({ colorScheme: 'dark' })
    await judge(`${name}, dark`, { type: 'rule', values: ['color-contrast'] })
    await page.emulateMedia({ colorScheme: 'light' })
    await page.setViewportSize({ width: 390, height: 844 })
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))) // what is drawn as wide as the window
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
    if (wide > 0) faults.push(`${name}: ${wide} pixels wider than a phone`)
    await page.setViewportSize(size)
  }
  await page.goto(url)
  await page.getByRole('heading', { name: 'Log in' }).waitFor()
  await page.evaluate(axe)
  await look('login')
  await enter(page)
  await page.evaluate(axe)
  for (const [name, path, prepare] of await pages()) {
    await show(page, 'nowhere')
    await show(page, path)
    await prepare?.(page)
    await look(name)
  }
  must(!faults.length, faults.join('\n'))
  await page.finish()
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
  must((await page.evaluate(() => document.activeElement.getAttribute('aria-label'))) === 'Delete www-nightly', 'a dialog does not give the focus back')
  await page.goBack()
  await page.getByRole('heading', { name: 'Jobs', level: 1 }).waitFor()
  must((await page.evaluate(() => document.activeElement.tagName)) === 'MAIN', 'the way back does not lead the focus to the content')
  must((await page.evaluate(() => document.getAnimations().length)) === 0, 'something moves for somebody who wants nothing to move')
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
  await see(page, 'jobs/nobody')
  await page.getByRole('alert').waitFor()
  must((await page.title()) === 'nobody · shield', `the title of what is not there is ${await page.title()}`)
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
  page.secrets.push('first of her passwords', 'second of her passwords')
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
  const closed = /^(audit|users)\b/
  for (const [, path] of await pages()) if (!closed.test(path)) await show(page, path) // without a refusal, of which the console would tell
  for (const name of ['Add an agent', 'Install a plugin', 'Change', 'Download', 'Delete']) must(!(await button(page, name).first().isVisible()), `a viewer is offered ${name}`)
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

// plugin: a module is installed once what it asks for was shown; another version
// of it once it was shown what that asks for beyond; and what it may is changed.
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

  await link(page, 'commands').click()
  await page.getByRole('heading', { name: 'commands', level: 1 }).waitFor()
  await button(page, 'Another version').click()
  await file.setInputFiles(`${dir}/target2.wasm`)
  await button(page, 'See what it asks for').click()
  await dialog.getByText('It replaces version 1.0.0, and asks for more').waitFor()
  const group = async (title) => (await dialog.locator(`h3:text-is("${title}") + ul`).innerText()).split('\n').map((l) => l.trim()).filter(Boolean).join()
  must((await group('New')) === 'may run tac,may use 2MiB of memory', `new is ${await group('New')}`)
  must((await group('As before')) === 'may run cat', `as before is ${await group('As before')}`)
  must((await group('Granted, but not asked for any more')) === 'run cp', `gone is ${await group('Granted, but not asked for any more')}`)
  const current = async () => (await api('modules')).find((m) => m.name === 'commands' && m.current)
  must((await current()).version === '1.0.0', 'another version is installed before anybody agreed')
  await button(page, 'I agree: install it').click()
  await page.getByText('The plugin commands 2.0.0 is installed').waitFor()
  must((await current()).version === '2.0.0', 'the other version is not installed')

  await button(page, 'Change').click()
  await label(page, 'Memory').fill('lots')
  page.mayFail = true
  await button(page, 'Save').click()
  await page.locator('form .note.bad, .field .wrong').first().waitFor()
  page.mayFail = false
  await label(page, 'Memory').fill('2MiB')
  await label(page, 'Folders to read').fill('/srv/a\n/srv/b')
  await page.getByRole('button', { name: 'Take it away (tac)' }).click()
  await button(page, 'Save').click()
  await page.getByText('It asks for what it is not granted').waitFor()
  await page.locator('.note.warn', { hasText: 'run tac' }).waitFor()
  const { grant } = await current()
  must(JSON.stringify([grant.read, Object.keys(grant.exec), grant.memory]) === '[["/srv/a","/srv/b"],["cat","cp"],"2MiB"]', `granted is ${JSON.stringify(grant)}`)
  await page.finish()
}

// limits: how fast bytes move into a store, and when.
export async function limits() {
  const page = await open()
  await see(page, 'stores/nas/edit')
  await page.getByText('Bandwidth').click()
  await label(page, 'At most, into the store').fill('20MiB')
  await button(page, 'A time of the day with other rates').click()
  await label(page, 'Into the store').fill('2MiB')
  await label(page, 'To').fill('24:61')
  page.mayFail = true
  await button(page, 'Save and test').click()
  await page.locator('.window .wrong').waitFor()
  must(await label(page, 'To').evaluate((e) => e === document.activeElement), 'the field that is wrong has not the focus')
  page.mayFail = false
  await label(page, 'To').fill('18:00')
  await button(page, 'A time of the day with other rates').click()
  await page.getByLabel('Days').nth(1).fill('mon')
  await page.getByRole('button', { name: /^Put it first/ }).click()
  must((await page.getByLabel('Days').first().inputValue()) === 'mon', 'the order of windows is not changed')
  await button(page, 'Take it away (window 1)').click()
  await label(page, 'Time zone of the windows').fill('Europe/Rome')
  await button(page, 'Save and test').click()
  await page.getByText('weekdays 08:00 to 18:00: 2MiB/s in, no limit out').waitFor()
  const { limit } = await api('stores/nas')
  must(JSON.stringify(limit) === '{"up":"20MiB","timezone":"Europe/Rome","windows":[{"days":"weekdays","from":"08:00","to":"18:00","up":"2MiB"}]}', `the limit is ${JSON.stringify(limit)}`)
  await link(page, 'Edit').click()
  await button(page, 'Take it away (window 1)').click()
  await label(page, 'At most, into the store').fill('')
  await button(page, 'Save and test').click()
  await page.getByRole('heading', { name: 'nas', level: 1, exact: true }).waitFor() // no more that of its form
  must(JSON.stringify((await api('stores/nas')).limit) === '{}', 'the limit is not taken away')
  await page.finish()
}

// invite: a token for an agent is shown once, in the command to run.
export async function invite() {
  const page = await open()
  await link(page, 'Agents').click()
  await page.getByText('There is no agent').waitFor()
  await button(page, 'Add an agent').click()
  const dialog = page.getByRole('dialog')
  await label(page, 'Name').fill('daemon')
  page.mayFail = true
  await button(page, 'Make a token').click()
  await dialog.locator('.wrong', { hasText: 'stands for the daemon itself' }).waitFor()
  page.mayFail = false
  await label(page, 'Name').fill('db1')
  await label(page, 'Labels').fill('site=rome')
  const made = page.waitForResponse((r) => r.url().endsWith('/v1/agent-tokens'))
  await button(page, 'Make a token').click()
  page.telling = (await made).request() // this one time
  const command = await dialog.locator('code[data-token]').textContent()
  const [, secret] = /^SHIELD_AGENT_TOKEN=(shield-join_\S+) shield-agent --core https:\/\/127\.0\.0\.1:7644 --name db1$/.exec(command) ?? []
  must(secret, `the command is ${command}`)
  await button(page, 'I have it').click()
  page.secrets.push(secret)
  must(!(await page.content()).includes(secret), 'the token is on the page after it was closed')
  await see(page, 'agents')
  await see(page, 'audit')
  must(!(await page.content()).includes(secret), 'the token is on the page')
  writeFileSync(`${dir}/join`, secret)
  await page.finish()
}

// agent: what one sees of an agent that has joined, and of what it runs.
export async function agent() {
  const page = await open()
  await link(page, 'Agents').click()
  await page.getByRole('row', { name: /^db1/ }).getByText('Connected', { exact: true }).waitFor()
  await link(page, 'db1').click()
  await state(page, 'Connected')
  await page.getByText('site=rome').waitFor()
  await page.locator('dd:text-is("right")').waitFor() // the clock
  await page.getByText('It runs nothing now').waitFor()
  await button(page, 'Test').click()
  await state(page, 'Done')
  await page.getByLabel('What it found').getByText('plugins').waitFor()
  await see(page, 'jobs/cache-nightly')
  await button(page, 'Run now').first().click()
  await state(page, 'Running')
  await page.locator('dd:text-is("db1")').waitFor()
  await see(page, 'agents/db1')
  await page.getByRole('row', { name: /^Backup/ }).getByText('Running').waitFor()
  await link(page, 'cache').click() // the target that it reaches
  await page.getByRole('heading', { name: 'cache', level: 1 }).waitFor()
  await see(page, 'agents/db1')
  await link(page, 'Backup').click()
  await button(page, 'Cancel').click()
  await button(page, 'Cancel the task').click()
  await state(page, 'Canceled')
  await page.finish()
}

// takeAway: an agent is deleted, and a plugin removed, once its name was typed.
export async function takeAway() {
  const page = await open()
  await see(page, 'agents/db1')
  await button(page, 'Delete').click()
  const sure = button(page, 'Delete and revoke')
  must(await sure.isDisabled(), 'an agent is deleted before its name was typed')
  await page.getByLabel(/^Type/).fill('db1')
  await sure.click()
  await page.getByText('There is no agent').waitFor()
  must((await api('agents')).length === 0, 'the agent is there')
  await see(page, 'plugins/commands')
  await button(page, 'Remove commands').click()
  await page.getByRole('dialog').getByLabel(/^Type/).fill('commands')
  await button(page, 'Remove it').click()
  await page.getByText('commands is removed').waitFor()
  must(!(await api('modules')).some((m) => m.name === 'commands'), 'a plugin is there after it was removed')
  await page.finish()
}

// many: with a thousand jobs and a hundred thousand archives a page shows a part
// of them, asks for no more than that, and finds the rest.
export async function many() {
  const page = await open()
  let asked = []
  page.on('request', (r) => r.url().includes('/v1/') && asked.push(r.url().split('/v1/')[1]))
  for (const path of ['jobs', 'targets', 'archives', 'tasks', '']) {
    asked = []
    const start = Date.now()
    await page.goto(url + path)
    await page.locator(path ? 'main :is(tbody tr, .empty)' : '.verdict').first().waitFor()
    const took = Date.now() - start
    const [rows, nodes] = await page.evaluate(() => [document.querySelectorAll('tbody tr').length, document.getElementsByTagName('*').length])
    console.log(`${path || 'overview'}: ${took} ms, ${asked.length} requests, ${rows} rows, ${nodes} elements`)
    must(rows <= 200 && nodes < 8000, `${path} shows ${rows} rows at once, in ${nodes} elements`)
    must(asked.length <= 20, `${path} asks ${asked.length} times: ${asked.join(' ')}`)
  }
  await see(page, 'archives')
  const rows = page.locator('tbody tr')
  await rows.first().waitFor()
  await page.evaluate(() => Object.defineProperty(document, 'hidden', { value: true })) // then nothing is read again beside
  const all = (await api('archives?status=valid&limit=900')).map((a) => `archives/${a.uuid}`)
  for (const known of [100, 500]) {
    asked = []
    await button(page, 'Show more').click()
    await rows.nth(known + 399).waitFor()
    const pages = asked.filter((a) => a.startsWith('archives?'))
    must(pages.length === 1 && pages[0].includes('cursor=') && pages[0].includes('limit=400'), `more is asked for by ${pages}`)
  }
  const shown = await rows.locator('td:first-child a').evaluateAll((list) => list.map((a) => a.getAttribute('href')))
  must(JSON.stringify(shown) === JSON.stringify(all), 'the pages together are not the list')
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
