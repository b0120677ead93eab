// What can be wrong with a state directory. The message says what was found and how to mend it.

export type StateDirProblem = 'cannot-create' | 'not-a-directory' | 'not-owned' | 'too-open' | 'in-use' | 'cannot-lock'

export class StateDirError extends Error {
  override readonly name = 'StateDirError'
  readonly code: StateDirProblem

  constructor(code: StateDirProblem, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
