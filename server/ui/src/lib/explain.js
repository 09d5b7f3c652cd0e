// What a schedule means, where the daemon can say so.
import { get } from './api.js'
import { has } from './session.svelte.js'

// explain returns { meaning, next: [{ at, note }] }, { wrong }, or null where
// the daemon cannot say.
export async function explain(timespec, timezone, signal) {
  if (!has('GET /v1/schedules/explain') || !timespec) return null
  try {
    const a = await get('schedules/explain', { timespec, timezone, count: 5 }, signal)
    const next = a.next ?? a.runs ?? a.times ?? []
    return { meaning: a.meaning ?? a.text ?? '', next: next.map((n) => (typeof n === 'string' ? { at: n } : { at: n.at ?? n.utc ?? n.time, note: n.note ?? '' })) }
  } catch (err) {
    if (err.name === 'AbortError') throw err
    return err.code === 'invalid' ? { wrong: err.message } : null
  }
}
