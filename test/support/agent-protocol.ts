/** What a test asks of the agent in a workload's place, one JSON object a line, and what it answers. */

export interface HttpTask {
  readonly do: 'http'
  readonly url: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** `2` is HTTP/2 with prior knowledge. */
  readonly version?: '1.1' | '2'
  /** Milliseconds; 15,000 if not given. */
  readonly timeout?: number
  /** Uses a connection again that an earlier request left open. */
  readonly keepAlive?: boolean
}

export interface HttpResult {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly trailers: Readonly<Record<string, string>>
  readonly body: string
  /** From the start to the end of the answer, milliseconds. */
  readonly ms: number
}

/** Opens a connection, sends, and reads until `until` came, the other side closed or the time is over. */
export interface TcpTask {
  readonly do: 'tcp'
  readonly host: string
  readonly port: number
  readonly send?: string
  readonly until?: string
  /** Milliseconds; 15,000 if not given. */
  readonly timeout?: number
  /** Speaks TLS with this SNI, and takes any certificate. */
  readonly sni?: string
  readonly alpn?: readonly string[]
  /** Key, certificate (PEM) that it presents. */
  readonly identity?: { readonly key: string; readonly cert: string }
}

export interface TcpResult {
  readonly data: string
  readonly closed: boolean
  /** Why it broke, as `ECONNREFUSED`. */
  readonly error?: string
  /** Until the first byte came, milliseconds. */
  readonly firstByte?: number
  readonly ms: number
  /** Subject alternative names of the other side's certificate. */
  readonly peer?: string
}

export interface GrpcTask {
  readonly do: 'grpc'
  /** `host:port` */
  readonly target: string
  readonly method?: 'Unary' | 'Stream'
  readonly metadata?: Readonly<Record<string, string>>
  /** Sent one after the other; `Unary` takes the first. */
  readonly messages?: readonly unknown[]
  readonly timeout?: number
}

export interface GrpcResult {
  readonly code: number
  readonly details: string
  readonly messages: readonly unknown[]
  readonly trailers: Readonly<Record<string, string>>
  readonly ms: number
}

export interface WebSocketTask {
  readonly do: 'websocket'
  readonly url: string
  readonly messages: readonly string[]
  readonly timeout?: number
}

/** Requests, many at once or one after the other; each answer in short. */
export interface LoadTask {
  readonly do: 'load'
  readonly request: Omit<HttpTask, 'do'>
  /** How many; without it, until a `stop`. */
  readonly count?: number
  /** At one time; 1 if not given. */
  readonly concurrency?: number
  /** Pause of each of the concurrent senders after each request, milliseconds. */
  readonly pause?: number
}

export interface LoadResult {
  /** status (0 where the connection broke) and instance of each, in the order of the answers. */
  readonly answers: readonly {
    readonly status: number
    readonly instance: string
    readonly ms: number
    readonly error?: string
  }[]
}

/** One turn on a connection that stays open between tasks; the first opens it. Text is Latin-1: each character a byte. */
export interface TurnTask {
  readonly do: 'turn'
  /** The test's own name for it. */
  readonly connection: string
  readonly open?: { readonly host: string; readonly port: number }
  readonly send?: string
  /** Closes this side's half afterwards. */
  readonly end?: boolean
  /** Reads until this came, and `length` bytes at least; with `untilClosed` until the other side closed; else not at all. */
  readonly until?: string
  readonly length?: number
  readonly untilClosed?: boolean
  readonly hangUp?: boolean
  /** Milliseconds; 15,000 if not given. */
  readonly timeout?: number
}

export interface TurnResult {
  /** All that came since the last turn. */
  readonly data: string
  readonly closed: boolean
  readonly error?: string
  readonly ms: number
}

/** One use of each destination. */
export interface SweepTask {
  readonly do: 'sweep'
  readonly kind: 'http' | 'tcp'
  /** `address:port` */
  readonly targets: readonly string[]
  readonly concurrency: number
}

export interface SweepResult {
  /** How often what came: a status, `closed`, `data`, or an error's code. */
  readonly outcomes: Readonly<Record<string, number>>
  /** Milliseconds. */
  readonly median: number
  readonly slowest: number
}

export type Task =
  | HttpTask
  | TcpTask
  | GrpcTask
  | WebSocketTask
  | LoadTask
  | TurnTask
  | SweepTask
  | { readonly do: 'resolve'; readonly name: string }
  | { readonly do: 'stop'; readonly load: number }

export interface Results {
  readonly http: HttpResult
  readonly tcp: TcpResult
  readonly grpc: GrpcResult
  readonly websocket: readonly string[]
  readonly load: LoadResult
  readonly turn: TurnResult
  readonly sweep: SweepResult
  readonly resolve: readonly string[]
  readonly stop: null
}

export type Question = Task & { readonly id: number }
export type Answer = { readonly id: number; readonly result: unknown } | { readonly id: number; readonly error: string }
