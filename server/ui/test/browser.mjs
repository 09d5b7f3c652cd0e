// What stories and screenshots share: a browser on a real daemon.
import { chromium } from 'playwright-core'
import { existsSync } from 'node:fs'

export const url = process.env.SHIELD_API + '/'
export const token = process.env.SHIELD_TOKEN
const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)

// open returns a page that remembers what must never be: errors on the
// console, and requests that leave the origin.
export async function open({ width = 1280, height = 860, theme = 'light', zone = 'Europe/Rome', entered = true } = {}) {
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'] })
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, timezoneId: zone, locale: 'en-GB', reducedMotion: 'reduce' })
  const page = await context.newPage()
  page.setDefaultTimeout(30000)
  page.faults = []
  page.bodies = [] // of answers, as { request, text }
  page.secrets = [token] // what no answer may have
  page.telling = null // the request whose answer may have one, if there is one
  page.on('console', (m) => {
    if (['error', 'warning'].includes(m.type()) && !page.mayFail) page.faults.push(`console: ${m.text()} (${m.location().url})`)
  })
  page.on('pageerror', (e) => page.faults.push(`error: ${e.stack ?? e.message}`))
  page.on('request', (r) => {
    if (new URL(r.url()).origin !== new URL(url).origin) page.faults.push(`a request leaves the origin: ${r.url()}`)
  })
  const body = async (request) => (await request.response()).text()
  page.on('requestfinished', (request) => {
    if (request.url().includes('/v1/')) page.bodies.push({ request, text: body(request).catch(() => '') })
  })
  page.finish = async () => {
    const texts = await Promise.all(page.bodies.filter((b) => b.request !== page.telling).map((b) => b.text))
    for (const secret of page.secrets) if (texts.some((t) => t.includes(secret))) page.faults.push('an answer has a secret')
    await browser.close()
    if (page.faults.length) throw new Error(page.faults.join('\n'))
  }
  if (entered) await enter(page)
  return page
}

export async function enter(page, path = '') {
  await page.goto(url + path)
  await page.getByRole('heading', { name: 'Log in' }).waitFor()
  const other = page.getByRole('button', { name: 'With a token' })
  if (await other.isVisible()) await other.click()
  await page.getByLabel('Token', { exact: true }).fill(token)
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.locator('.frame').waitFor()
}

// see goes to a page of the application and waits until it shows something.
export async function see(page, path) {
  await page.goto(url + path)
  await page.locator('main h1').waitFor()
  await page.locator('main :is(.panel, .note, .form)').first().waitFor()
}

// show goes there within the application, without loading it anew.
export async function show(page, path) {
  await page.evaluate((href) => {
    history.pushState(null, '', href)
    dispatchEvent(new PopStateEvent('popstate'))
  }, url + path)
  await page.locator('main h1').waitFor()
  await page.locator('main :is(.panel, .note, .form)').first().waitFor()
}

export async function api(path, init = {}) {
  const res = await fetch(`${url}v1/${path}`, { ...init, headers: { Authorization: `Bearer ${token}` } })
  return res.json()
}
