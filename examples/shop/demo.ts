// `make demo`: the shop on real Envoys, watched. Each claim is measured from the answers that a visitor of the shop gets, and the
// exit status says whether all were seen to hold. It works on a copy of the folder, which it changes as a person would.
import { cp, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { pino } from 'pino'
import { missingForNetns } from '../../src/standalone/isolation/netns.ts'
import { type Standalone, startStandalone } from '../../src/standalone.ts'
import { Observations } from './observations.ts'
import { type Line, Screen } from './screen.ts'

/** At most so long for one claim to be seen, milliseconds. */
const PATIENCE_MS = 40_000

/** `20s`, `1m`; undefined: until Ctrl-C. */
function durationOf(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined
  const match = /^([0-9]+)(s|m)?$/.exec(text)
  if (match === null) throw new Error(`FOR is ${text}; write it as 20s or 2m`)
  return Number(match[1]) * (match[2] === 'm' ? 60_000 : 1000)
}

interface Claim {
  readonly title: string
  /** What was seen so far: enough to say that it holds, or not yet. */
  readonly look: () =>
    | { readonly held: boolean; readonly detail: string }
    | Promise<{ readonly held: boolean; readonly detail: string }>
}

class Demo {
  readonly lines: Line[] = []
  readonly #screen = new Screen(process.stdout)
  readonly #signal: AbortSignal
  readonly #now: () => string

  /** `now` is what is going on, in a line. */
  constructor(signal: AbortSignal, now: () => string) {
    this.#signal = signal
    this.#now = now
  }

  say(text: string): void {
    this.#screen.say(text)
    this.draw()
  }

  draw(): void {
    this.#screen.draw(this.lines, this.#now())
  }

  /** Watches until it holds, or patience ends: then it failed, with what was seen last. */
  async claim({ title, look }: Claim): Promise<void> {
    const index = this.lines.push({ title, held: undefined, detail: '' }) - 1
    const end = performance.now() + PATIENCE_MS
    for (;;) {
      const { held, detail } = await look()
      const late = performance.now() > end
      this.lines[index] = { title, held: held ? true : late ? false : undefined, detail }
      this.draw()
      if (held || late) return
      await delay(50, undefined, { signal: this.#signal })
    }
  }
}

const percent = (part: number, whole: number): string => (whole === 0 ? '-' : `${((100 * part) / whole).toFixed(1)} %`)

/** How fast a count grew in the last second or so. */
function ratePerSecond(count: () => number): () => number {
  let last = { at: performance.now(), count: 0, rate: 0 }
  return () => {
    const at = performance.now()
    if (at - last.at > 1000) {
      const now = count()
      last = { at, count: now, rate: Math.round(((now - last.count) * 1000) / (at - last.at)) }
    }
    return last.rate
  }
}

/** Replaces a file as an editor does: whole. */
async function save(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text)
  await rename(`${path}.new`, path)
}

/** Of the stock keeper's proxy: mesh TLS connections it took, and how many its policy let in. Plain TCP has no header to show it. */
async function stockConnections(
  standalone: Standalone,
): Promise<{ readonly handshakes: number; readonly allowed: number }> {
  const stats = (
    await standalone.runner?.proxy('shop/stock')?.admin('GET', '/stats?filter=ssl.handshake|rbac.*allowed')
  )?.body
  const sum = (pattern: RegExp) =>
    (stats ?? '').split('\n').reduce((total, line) => total + (pattern.test(line) ? Number(line.split(': ')[1]) : 0), 0)
  return { handshakes: sum(/^listener.*ssl\.handshake:/), allowed: sum(/rbac.*allowed:/) }
}

async function main(signal: AbortSignal): Promise<boolean> {
  const stayFor = durationOf(process.env['FOR'])
  const started = performance.now()
  await using stack = new AsyncDisposableStack()
  const base = await mkdtemp(join(tmpdir(), 'heddle-demo-'))
  stack.defer(() => rm(base, { recursive: true, force: true }))
  await cp(import.meta.dirname, base, { recursive: true })
  await symlink(join(import.meta.dirname, '../../node_modules'), join(base, 'node_modules'))
  const policies = join(base, 'mesh', 'policies')
  // kept back, to show the difference
  const retries = await readFile(join(policies, 'ratings.yaml'), 'utf8')
  await rm(join(policies, 'ratings.yaml'))

  const seen = new Observations()
  const rate = ratePerSecond(() => seen.pages)
  const demo = new Demo(signal, () => `${seen.pages} pages, ${rate()} a second; ${seen.versions.failed} failed`)
  const isolation =
    process.argv[2] === '--isolation=loopback' || (await missingForNetns()).length > 0 ? 'loopback' : 'netns'
  demo.say(`Starting the shop of ${base} with --isolation=${isolation}`)
  // `node` of the run commands is this one
  process.env['PATH'] = [dirname(process.execPath), process.env['PATH']].join(delimiter)
  const standalone = stack.use(
    await startStandalone({
      paths: [join(base, 'mesh')],
      stateDir: join(base, 'state'),
      log: pino({ level: 'warn' }, pino.destination(2)),
      signal,
      run: {
        isolation,
        onEvent(event) {
          if (event.type === 'output' && event.workload === 'shop/visitor') seen.see(event.line)
          else if (event.type === 'output') demo.say(`${event.workload}: ${event.line}`)
          else if (event.type === 'failed' || event.type.endsWith('-exited')) demo.say(JSON.stringify(event))
        },
      },
    }),
  )
  const running = [...standalone.core.catalog.table('Workload').entries()].length
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  demo.say(`${running} workloads, each behind an Envoy of its own, run after ${seconds} s. What a visitor sees:`)

  await demo.claim({
    title: 'strict mTLS on every edge',
    async look() {
      const { handshakes, allowed } = await stockConnections(standalone)
      const expected = ['visitor → web', 'web → products', 'web → reviews', 'reviews → ratings']
      const proven = expected.filter((edge) => {
        const [from] = edge.split(' ')
        return seen.edges.get(edge) === `spiffe://cluster.local/ns/shop/sa/${from}`
      })
      const stock = handshakes > 0 && allowed > 0 && seen.stockAnswers > 0
      const detail = `${proven.length + (stock ? 1 : 0)} of 5 edges`
      return { held: stock && proven.length === expected.length, detail }
    },
  })
  // what came before all were up does not count
  seen.reset()
  for (const [edge, identity] of seen.edges) demo.lines.push({ title: `  ${edge}`, held: true, detail: identity })
  demo.lines.push({
    title: '  products → stock (TCP)',
    held: true,
    detail: 'let in by identity alone: policies/stock.yaml',
  })

  await demo.claim({
    title: 'reviews: 90 to v1, 10 to v2',
    look() {
      const { v1, v2, failed } = seen.versions
      const total = v1 + v2
      const share = (100 * v2) / total
      const held = total >= 500 && failed === 0 && share > 5 && share < 16
      return {
        held,
        detail: `${v1} to v1, ${v2} to v2: ${percent(v2, total)}${failed > 0 ? `, ${failed} failed` : ''}`,
      }
    },
  })
  await demo.claim({
    title: 'canary by header x-canary: yes',
    look: () => ({
      held: seen.canary.v2 >= 50 && seen.canary.other === 0,
      detail: `${seen.canary.v2} of ${seen.canary.v2 + seen.canary.other} to v2`,
    }),
  })

  let before = ''
  await demo.claim({
    title: 'ratings: one of two is broken',
    look() {
      const { good, failed } = seen.ratings
      before = percent(failed, good + failed)
      return {
        held: good + failed >= 60 && failed / (good + failed) > 0.2,
        detail: `${failed} of ${good + failed} failed: ${before}`,
      }
    },
  })
  await save(join(policies, 'ratings.yaml'), retries)
  await standalone.settled()
  seen.ratings = { good: 0, failed: 0 }
  await demo.claim({
    title: '  with policies/ratings.yaml: retried',
    look() {
      const { good, failed } = seen.ratings
      // those that were under way
      if (failed > 0 && good + failed < 30) seen.ratings = { good: 0, failed: 0 }
      return { held: failed === 0 && good >= 150, detail: `${failed} of ${good + failed} failed` }
    },
  })

  await demo.claim({
    title: 'circuit breaker on the sale',
    look() {
      const { served, refused, other } = seen.crowd
      const detail = `of a crowd of ${served + refused + other}: ${served} served, ${refused} refused at once`
      return { held: served === 5 && refused > 0 && other === 0, detail }
    },
  })

  const answers = () => [...seen.direct].map(([status, count]) => `${count} x ${status}`).join(', ')
  await demo.claim({
    title: 'visitor → products is denied',
    look: () => ({ held: (seen.direct.get(403) ?? 0) >= 50 && seen.direct.size === 1, detail: answers() }),
  })
  const path = join(policies, 'products.yaml')
  const changed = (await readFile(path, 'utf8')).replace(
    '{ type: ServiceAccount, serviceAccount: { name: web } }',
    '{ type: ServiceAccount, serviceAccount: { name: web } }, { type: ServiceAccount, serviceAccount: { name: visitor } }',
  )
  seen.direct = new Map()
  const start = performance.now()
  let liveAfter: number | undefined
  await save(path, changed)
  await demo.claim({
    title: '  policies/products.yaml: allowed',
    look() {
      if ((seen.direct.get(200) ?? 0) > 0) liveAfter ??= performance.now() - start
      return {
        held: liveAfter !== undefined && liveAfter < 1000,
        detail: liveAfter === undefined ? answers() : `live after ${liveAfter.toFixed(0)} ms`,
      }
    },
  })

  const good = demo.lines.every(({ held }) => held === true)
  const took = ((performance.now() - started) / 1000).toFixed(0)
  demo.say(good ? `Every claim was seen to hold, ${took} s after the start.` : `Not every claim was seen to hold.`)
  const rest = stayFor === undefined ? undefined : stayFor - (performance.now() - started)
  if (rest === undefined) demo.say('The shop stays up until Ctrl-C.')
  const live = setInterval(() => demo.draw(), 500)
  await delay(Math.max(rest ?? 2 ** 31 - 1, 0), undefined, { signal }).catch(() => undefined)
  clearInterval(live)
  return good
}

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())
try {
  process.exitCode = (await main(stop.signal)) ? 0 : 1
} catch (error) {
  if (!stop.signal.aborted) throw error
  // stopped before all was seen
  process.exitCode = 130
}
