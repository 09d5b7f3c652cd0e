// Writes screenshots of every page, light and dark, wide and narrow, into the
// folder that is its argument.
import { mkdirSync } from 'node:fs'
import { api, open, see, url } from './browser.mjs'
import { pages } from './pages.mjs'

const dir = process.argv[2]
const only = process.argv[3]
mkdirSync(dir, { recursive: true })
const all = await pages()
for (const [look, opts] of [['light', {}], ['dark', { theme: 'dark' }], ['narrow', { width: 390, height: 844 }]]) {
  const page = await open(opts)
  for (const [name, path, prepare] of all) {
    if (only && !name.match(only)) continue
    await see(page, path)
    await page.waitForLoadState('networkidle')
    await prepare?.(page)
    await page.screenshot({ path: `${dir}/${name}-${look}.png`, fullPage: true })
  }
  if (!only || 'login'.match(only)) {
    await page.evaluate(() => sessionStorage.clear())
    await page.goto(url)
    await page.getByRole('heading', { name: 'Log in' }).waitFor()
    await page.screenshot({ path: `${dir}/login-${look}.png` })
  }
  await page.finish()
}
