// What the demo has seen: the visitor's lines, counted.
import type { Visit } from './visitor.ts'

type Body = Readonly<Record<string, unknown>>

const inner = (body: Body, name: string): Body => {
  const value = body[name]
  return typeof value === 'object' && value !== null ? (value as Body) : {}
}

export class Observations {
  /** `web → products` to the identity of the caller, as the callee's proxy verified it. */
  readonly edges = new Map<string, string>()
  /** Pages with reviews of either version, and those that failed. */
  versions = { v1: 0, v2: 0, failed: 0 }
  canary = { v2: 0, other: 0 }
  /** Of the answers of reviews v2: with stars, or without since ratings failed. */
  ratings = { good: 0, failed: 0 }
  /** Answers to a visitor who asks products directly, by status. */
  direct = new Map<number, number>()
  /** The last crowd. */
  crowd = { served: 0, refused: 0, other: 0 }
  stockAnswers = 0
  /** Pages in all. */
  pages = 0

  /** Forgets all but the edges. */
  reset(): void {
    this.versions = { v1: 0, v2: 0, failed: 0 }
    this.canary = { v2: 0, other: 0 }
    this.ratings = { good: 0, failed: 0 }
    this.direct = new Map()
  }

  /** Takes a line that the visitor printed. */
  see(line: string): void {
    let visit: Visit
    try {
      visit = JSON.parse(line)
    } catch {
      return
    }
    if (visit.visit === 'crowd') {
      const count = (status: number) => visit.statuses.filter((candidate) => candidate === status).length
      const [served, refused] = [count(200), count(503)]
      this.crowd = { served, refused, other: visit.statuses.length - served - refused }
    } else if (visit.visit === 'direct') {
      this.direct.set(visit.status, (this.direct.get(visit.status) ?? 0) + 1)
    } else this.#seePage(visit.visit, visit.status, visit.body)
  }

  #seePage(kind: 'shop' | 'canary', status: number, body: Body): void {
    const product = inner(inner(body, 'product'), 'body')
    const reviews = inner(inner(body, 'reviews'), 'body')
    const rating = inner(reviews, 'rating')
    this.#edge('visitor → web', body['caller'])
    this.#edge('web → products', product['caller'])
    this.#edge('web → reviews', reviews['caller'])
    this.#edge('reviews → ratings', rating['caller'])
    if (/^[0-9]+$/.test(String(product['stock']))) this.stockAnswers += 1
    this.pages += 1
    const isNew = reviews['version'] === 'v2'
    if (isNew) this.ratings[reviews['stars'] === undefined ? 'failed' : 'good'] += 1
    if (kind === 'canary') this.canary[isNew ? 'v2' : 'other'] += 1
    else if (status === 200) this.versions[isNew ? 'v2' : 'v1'] += 1
    else this.versions.failed += 1
  }

  #edge(name: string, caller: unknown): void {
    if (typeof caller === 'string') this.edges.set(name, caller)
  }
}
