/** The test's end of the agent in a workload's place. */
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Place } from '../../src/standalone/isolation/isolation.ts'
import { ProcessGroup } from '../../src/standalone/processes.ts'
import type { Answer, Results, Task } from './agent-protocol.ts'

export class PlaceAgent implements AsyncDisposable {
  readonly #process: ProcessGroup
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>()
  #last = 0
  #ended = false

  private constructor(process: ProcessGroup) {
    this.#process = process
    const { stdout, stderr } = process.child
    if (stdout === null || stderr === null) throw new Error('an agent without streams')
    let said = ''
    createInterface({ input: stderr }).on('line', (line) => (said += `${line}\n`))
    createInterface({ input: stdout }).on('line', (line) => {
      const answer: Answer = JSON.parse(line)
      const waiting = this.#waiting.get(answer.id)
      this.#waiting.delete(answer.id)
      if ('error' in answer) waiting?.reject(new Error(answer.error))
      else waiting?.resolve(answer.result)
    })
    process.child.once('exit', () => {
      this.#ended = true
      for (const { reject } of this.#waiting.values()) reject(new Error(`the agent ended\n${said}`))
    })
  }

  static async start(place: Place): Promise<PlaceAgent> {
    const command = place.command('app', [process.execPath, fileURLToPath(new URL('agent.ts', import.meta.url))])
    return new PlaceAgent(await ProcessGroup.start(command, { output: 'pipe', input: 'pipe', env: process.env }))
  }

  ask<T extends Task>(task: T): Promise<Results[T['do']]> {
    return this.begin(task).result
  }

  /** A task that goes on: its number, and what it will have found. */
  begin<T extends Task>(task: T): { readonly id: number; readonly result: Promise<Results[T['do']]> } {
    this.#last += 1
    if (this.#ended) throw new Error('the agent has ended')
    const waiting = Promise.withResolvers<unknown>()
    this.#waiting.set(this.#last, waiting)
    this.#process.child.stdin?.write(`${JSON.stringify({ id: this.#last, ...task })}\n`)
    return { id: this.#last, result: waiting.promise as Promise<Results[T['do']]> }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop(1000)
  }
}
