// Writes screenshots of every page, light and dark, wide and narrow, into the
// folder that is its argument.
import { mkdirSync } from 'node:fs'
import { enter, open, show, url } from './browser.mjs'
import { pages } from './pages.mjs'

const dir = process.argv[2]
const only = process.argv[3]
mkdirSync(dir, { recursive: true })
const page = await open({ entered: false })
// quiet waits until no request but a stream has been under way for a while.
let under = 0
const counts = (n) => (r) => (under += r.headers().accept === 'text/event-stream' ? 0 : n)
page.on('request', counts(1)).on('requestfinished', counts(-1)).on('requestfailed', counts(-1))
const quiet = async () => {
  for (let calm = 0; calm < 3; calm = under ? 0 : calm + 1) await page.waitForTimeout(50)
}
const wide = page.viewportSize()
const shoot = async (name) => {
  if (only && !name.match(only)) return
  for (const [look, colorScheme, size] of [['light', 'light', wide], ['dark', 'dark', wide], ['narrow', 'light', { width: 390, height: 844 }]]) {
    await page.emulateMedia({ colorScheme })
    await page.setViewportSize(size)
    await quiet()
    await page.screenshot({ path: `${dir}/${name}-${look}.png`, fullPage: true })
  }
  await page.setViewportSize(wide)
}

await page.goto(url)
await page.getByRole('heading', { name: 'Log in' }).waitFor()
await shoot('login')
await enter(page)
for (const [name, path, prepare] of await pages()) {
  if (only && !name.match(only)) continue
  await show(page, 'nowhere')
  await show(page, path)
  await quiet()
  await prepare?.(page)
  await shoot(name)
}
await page.finish()
