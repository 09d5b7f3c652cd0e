// Live is what a page shows of the daemon, read again from time to time while
// somebody looks. Call live while a component is made.
class Live {
  data = $state.raw()
  error = $state.raw()
  again = () => {}
}

export function live(read, every = 0) {
  const l = new Live()
  $effect(() => {
    const abort = new AbortController()
    let timer
    let latest = 0 // of the readings begun: what an earlier one saw may be over
    const run = async () => {
      clearTimeout(timer)
      const mine = ++latest
      const stale = () => abort.signal.aborted || mine !== latest
      try {
        const data = await read(abort.signal)
        if (stale()) return
        l.data = data
        l.error = undefined
      } catch (err) {
        if (stale() || err.name === 'AbortError') return
        l.error = err
      }
      const wait = typeof every === 'function' ? every(l.data) : every
      if (wait) timer = setTimeout(() => (document.hidden ? seen() : run()), wait)
    }
    const seen = () => document.addEventListener('visibilitychange', run, { once: true, signal: abort.signal })
    l.again = run
    run()
    return () => (abort.abort(), clearTimeout(timer))
  })
  return l
}
