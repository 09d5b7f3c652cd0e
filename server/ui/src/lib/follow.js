// follow watches a task and its log until it has ended or signal aborts, with
// every line once, also where the connection breaks.
import { seg } from './api.js'
import { stream } from './stream.js'

export const final = (status) => ['done', 'failed', 'canceled'].includes(status)

export function follow(uuid, { signal, onTask, onLines, onTrouble }) {
  let held = [] // lines without a number: they come again if the connection breaks before one that has one
  return stream(`tasks/${seg(uuid)}/log`, {
    signal, onTrouble,
    onOpen: () => (held = []),
    onMessages(messages) {
      const lines = []
      let task
      for (const m of messages) {
        if (m.event !== 'line') task = m.data
        else if (held.push(m.data.line) && m.id) lines.push(...held.splice(0))
      }
      if (lines.length) onLines(lines)
      if (task) onTask(task)
      return messages.some((m) => m.event === 'end')
    },
  })
}
