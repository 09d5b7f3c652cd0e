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

// pages reads the list at path. query returns its parameters; every, of what was
// read, the milliseconds until it is read again, if it is; and behind the query
// of the page behind one, that of the daemon's Link unless told otherwise.
export function pages(path, query, every, behind = (page) => page.next) {
  const l = new Pages()
  $effect(() => {
    const asked = { ...query(), limit: first }
    let wanted = 1
    let next // the query of the page behind the last
    let timer
    let op = new AbortController()
    // page returns a page and the query of the one behind it.
    const page = async (q, signal) => {
      const p = await list(path, q, signal)
      const link = behind({ ...p, asked: q.limit }, asked)
      return [p.items, link && { ...link, limit: rest }]
    }
    // run shows what comes of what, unless something else is begun before.
    const run = async (what) => {
      clearTimeout(timer)
      op.abort()
      const { signal } = (op = new AbortController())
      try {
        const [items, link] = await what(signal)
        if (signal.aborted) return
        next = link
        Object.assign(l, { items, error: undefined, more: !!next })
      } catch (err) {
        if (signal.aborted) return
        l.error = err
      }
      const wait = every?.(l.items ?? [])
      if (wait) timer = setTimeout(() => (document.hidden ? seen() : l.again()), wait)
    }
    const seen = () => document.addEventListener('visibilitychange', () => l.again(), { once: true, signal: op.signal })
    l.again = () => run(async (signal) => {
      let [items, link] = await page(asked, signal)
      for (let n = 1; n < wanted && link; n++) {
        const [more, after] = await page(link, signal)
        items = items.concat(more)
        link = after
      }
      return [items, link]
    })
    l.next = async () => {
      l.busy = true
      await run(async (signal) => {
        const [more, link] = await page(next, signal)
        wanted++
        return [l.items.concat(more), link]
      })
      l.busy = false
    }
    l.again()
    return () => {
      clearTimeout(timer)
      op.abort()
    }
  })
  return l
}
