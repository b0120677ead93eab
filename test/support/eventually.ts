/** Tests wait for conditions, never for time. */
import { setTimeout as delay } from 'node:timers/promises'

/** What `attempt` returns once it no longer throws. After `within` milliseconds its last error is thrown. */
export async function eventually<T>(attempt: () => T | Promise<T>, within = 20_000): Promise<T> {
  const end = performance.now() + within
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() > end) throw error
    }
    await delay(20)
  }
}
