// follow watches a task until it has ended or signal aborts. It asks again
// where it was when the connection breaks.
import { get, seg } from './api.js'

const pause = (ms, signal) =>
  new Promise((done) => {
    const t = setTimeout(done, ms)
    signal.addEventListener('abort', () => (clearTimeout(t), done()), { once: true })
  })

export const final = (status) => ['done', 'failed', 'canceled'].includes(status)

export async function follow(uuid, { signal, onTask, onLines, onTrouble }) {
  let after = 0
  for (let tries = 0; !signal.aborted; ) {
    try {
      const news = await get(`tasks/${seg(uuid)}/follow`, { after, wait: after || tries ? 25 : 0 }, signal)
      if (signal.aborted) return
      onTrouble(null)
      if (news.lines.length) onLines(news.lines)
      onTask(news.task)
      tries = 1
      after = news.next
      if (final(news.task.status) && !news.lines.length) return
    } catch (err) {
      if (signal.aborted) return
      onTrouble(err)
      if (err.status >= 400 && err.status < 500) return
      await pause(Math.min(1000 * 2 ** tries++, 10000), signal)
    }
  }
}
