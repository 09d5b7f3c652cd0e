// What a schedule means, where the daemon can say so.
import { send } from './api.js'
import { has } from './session.svelte.js'

// explain returns { meaning, next: [{ at, note }] }, { wrong }, or null where
// the daemon cannot say.
export async function explain(timespec, timezone, signal) {
  if (!has('explainSchedule') || !timespec) return null
  try {
    const a = await (await send('POST', 'schedules/explain', { body: { timespec, timezone: timezone || undefined, count: 5 }, signal })).json()
    return { meaning: a.meaning, next: a.runs.map((r) => ({ at: r.utc, note: r.note })) }
  } catch (err) {
    if (err.name === 'AbortError') throw err
    return err.code === 'invalid' ? { wrong: `${err.field} ${err.message}` } : null
  }
}
