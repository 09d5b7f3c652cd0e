// Server-sent events, read by fetch: an EventSource sends no token.
import { Problem, send } from './api.js'

// patience is how long a stream may say nothing: the daemon shows three times
// as often that it is there.
const patience = 45000

const pause = (ms, signal) =>
  new Promise((done) => {
    const t = setTimeout(done, ms)
    signal.addEventListener('abort', () => (clearTimeout(t), done()), { once: true })
  })

// visible waits until somebody looks. A browser has few connections to one
// daemon, for all its tabs together.
const visible = (signal) =>
  new Promise((done) => {
    if (!document.hidden) return done()
    document.addEventListener('visibilitychange', done, { once: true, signal })
    signal.addEventListener('abort', done, { once: true })
  })

// messagesOf takes the whole messages off a text and returns them and the rest.
function messagesOf(text) {
  const blocks = text.split('\n\n')
  const rest = blocks.pop()
  const messages = []
  for (const block of blocks) {
    const m = { id: '', event: '', data: '' }
    for (const line of block.split('\n')) {
      const [, name, value] = /^(\w*): ?(.*)$/.exec(line) ?? []
      if (name in m) m[name] = value
    }
    if (m.event) messages.push({ ...m, data: JSON.parse(m.data) })
  }
  return { messages, rest }
}

// read reads one connection until it ends, and returns whether take has had
// enough.
async function read(path, last, cut, take) {
  let timer
  const alive = () => {
    clearTimeout(timer)
    timer = setTimeout(() => cut.abort(), patience)
  }
  try {
    alive()
    const headers = { Accept: 'text/event-stream', ...(last && { 'Last-Event-ID': last }) }
    const reader = (await send('GET', path, { signal: cut.signal, headers })).body.pipeThrough(new TextDecoderStream()).getReader()
    for (let text = ''; ; ) {
      const { value, done } = await reader.read()
      if (done || cut.signal.aborted) return false
      alive()
      const { messages, rest } = messagesOf(text + value)
      text = rest
      if (messages.length && take(messages)) return true
    }
  } finally {
    clearTimeout(timer)
    cut.abort()
  }
}

// stream has onMessages take messages, each { id, event, data }, as they come,
// until it returns true or signal aborts. When the connection breaks, it goes
// on behind the last message that had an id; onOpen is told before.
export async function stream(path, { signal, last = '', onOpen = () => {}, onMessages, onTrouble }) {
  for (let tries = 0; !signal.aborted; ) {
    await visible(signal)
    const cut = new AbortController()
    const stop = () => cut.abort()
    const hide = () => document.hidden && stop()
    signal.addEventListener('abort', stop, { once: true })
    document.addEventListener('visibilitychange', hide)
    try {
      onOpen()
      const enough = await read(path, last, cut, (messages) => {
        tries = 0
        onTrouble(null)
        const found = onMessages(messages)
        last = messages.findLast((m) => m.id)?.id ?? last
        return found
      })
      if (enough) return
    } catch (err) {
      if (signal.aborted) return
      if (err.status >= 400 && err.status < 500) return onTrouble(err)
      if (!document.hidden && tries) onTrouble(err instanceof Problem ? err : new Problem(0, { code: 'unavailable', detail: 'The daemon was not heard of for a while.' }))
    } finally {
      signal.removeEventListener('abort', stop)
      document.removeEventListener('visibilitychange', hide)
    }
    if (signal.aborted) return
    await pause(tries ? Math.min(500 * 2 ** tries, 10000) : 200, signal)
    tries++
  }
}
