// Pages are a list as far as somebody wants to see it: the first page, and
// those behind it that were asked for. All of them are read again from time to
// time while somebody looks. Call pages while a component is made.
import { list } from './api.js'

class Pages {
  items = $state.raw()
  error = $state.raw()
  more = $state(false) // whether there are more
  busy = $state(false)
  next = () => {}
  again = () => {}
}

// first and rest are the sizes of the first page and of those behind it.
const first = 100
const rest = 400

// pages reads the list at path. query returns its parameters, every the
// milliseconds until it is read again (0: never), and behind the query of the
// page behind one, that of the daemon's Link unless told otherwise.
export function pages(path, query, every, behind = (page) => page.next) {
  const l = new Pages()
  $effect(() => {
    const asked = { ...query(), limit: first }
    let wanted = 1
    let next // the query of the page behind the last
    let timer
    let op = new AbortController()
    const page = async (q) => {
      const p = await list(path, q, op.signal)
      const link = behind({ ...p, asked: q.limit }, asked)
      next = link ? { ...link, limit: rest } : null
      return p.items
    }
    const run = async (what) => {
      clearTimeout(timer)
      op.abort()
      const own = (op = new AbortController())
      try {
        const items = await what()
        if (own.signal.aborted) return
        Object.assign(l, { items, error: undefined, more: !!next })
      } catch (err) {
        if (own.signal.aborted) return
        l.error = err
      }
      const wait = every?.(l.items ?? [])
      if (wait) timer = setTimeout(() => (document.hidden ? seen() : l.again()), wait)
    }
    let gone = false
    const seen = () => document.addEventListener('visibilitychange', () => gone || l.again(), { once: true })
    l.again = () => run(async () => {
      let items = await page(asked)
      for (let n = 1; n < wanted && next; n++) items = items.concat(await page(next))
      return items
    })
    l.next = async () => {
      l.busy = true
      wanted++
      await run(async () => l.items.concat(await page(next)))
      l.busy = false
    }
    l.again()
    return () => {
      gone = true
      clearTimeout(timer)
      op.abort()
    }
  })
  return l
}
