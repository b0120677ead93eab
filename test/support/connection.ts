/** The test's end of a connection that an agent keeps open: what is sent and what comes, in turns, byte for byte (as Latin-1). */
import { randomUUID } from 'node:crypto'
import type { TurnResult, TurnTask } from './agent-protocol.ts'
import type { PlaceAgent } from './place-agent.ts'

export class Connection implements AsyncDisposable {
  readonly #agent: PlaceAgent
  readonly #open: { readonly host: string; readonly port: number }
  readonly #name = randomUUID()

  constructor(agent: PlaceAgent, open: { readonly host: string; readonly port: number }) {
    this.#agent = agent
    this.#open = open
  }

  /** Sends, and with `until` reads until that has come; opens the connection first, if this is the first turn. */
  turn(turn: Omit<TurnTask, 'do' | 'connection' | 'open'>): Promise<TurnResult> {
    return this.#agent.ask({ do: 'turn', connection: this.#name, open: this.#open, ...turn })
  }

  /** What came up to and including `until`; throws where it never came. */
  async say(send: string, until: string, length = 0): Promise<string> {
    const { data, closed, error } = await this.turn({ send, until, length })
    if (!data.includes(until))
      throw new Error(
        `wanted ${JSON.stringify(until)}, got ${JSON.stringify(data.slice(0, 500))}, ${closed ? `closed ${error ?? ''}` : 'open'}`,
      )
    return data
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.turn({ hangUp: true })
  }
}

/** A WebSocket in turns: opens it over a fresh connection. `headers` come after those that every WebSocket needs. */
export async function openWebSocket(
  connection: Connection,
  host: string,
  headers = '',
): Promise<(text: string) => Promise<string>> {
  const answer = await connection.say(
    `GET / HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
      `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${headers}\r\n`,
    '\r\n\r\n',
  )
  if (!answer.startsWith('HTTP/1.1 101 ')) throw new Error(`not a WebSocket: ${answer}`)
  // RFC 6455, 5.2: one short text frame, masked with zeros, which leave it as it is
  return async (text) => {
    const back = await connection.say(`\x81${String.fromCharCode(128 | text.length)}\0\0\0\0${text}`, text)
    return back.slice(2)
  }
}
