// The traffic: visitors who look at the shop, some of them on the canary, now and then one who tries what is not allowed, or a
// crowd. Prints one line of JSON for each answer; the demo counts them.
import { setTimeout as delay } from 'node:timers/promises'
import { ask } from './http.ts'

const WEB = `http://${process.env['UPSTREAM_WEB'] ?? 'web'}`
const SALE = `http://${process.env['UPSTREAM_SALE'] ?? 'sale'}`
const PRODUCTS = `http://${process.env['UPSTREAM_PRODUCTS'] ?? 'products'}`

/** What a line is about. */
export type Visit =
  | {
      readonly visit: 'shop' | 'canary' | 'direct'
      readonly status: number
      readonly body: Readonly<Record<string, unknown>>
    }
  | { readonly visit: 'crowd'; readonly statuses: readonly number[] }

const tell = (visit: Visit) => void process.stdout.write(`${JSON.stringify(visit)}\n`)

async function every(milliseconds: number, visit: () => Promise<void>): Promise<never> {
  for (;;) {
    await visit()
    await delay(milliseconds)
  }
}

for (let visitor = 0; visitor < 10; visitor += 1) {
  void every(20, async () => tell({ visit: 'shop', ...(await ask(`${WEB}/api`)) }))
}
void every(50, async () => tell({ visit: 'canary', ...(await ask(`${WEB}/api`, undefined, { 'x-canary': 'yes' })) }))
// past the front, straight to the products: for the front alone, says a policy
void every(20, async () => tell({ visit: 'direct', ...(await ask(`${PRODUCTS}/42`)) }))
void every(500, async () => {
  const answers = await Promise.all(Array.from({ length: 40 }, () => ask(`${SALE}/slow?ms=100`)))
  tell({ visit: 'crowd', statuses: answers.map(({ status }) => status) })
})

process.on('SIGTERM', () => process.exit(0))
