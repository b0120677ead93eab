/**
 * CEL as the API server evaluates it in `x-kubernetes-validations`: integers are 64 bits, reserved words in field names are
 * escaped, patterns are RE2's, and Kubernetes adds functions on addresses.
 */
import { Environment, type ParseResult } from '@marcbachmann/cel-js'
import { RE2JS } from 're2js'
import { cidr, ipAddress } from '../../../src/api/text.ts'
import type { OpenApi } from './open-api.ts'

export class Cel {
  readonly #environment = new Environment({ unlistedVariablesAreDyn: true, homogeneousAggregateLiterals: false })
    .registerFunction('isIP(string): bool', (text: string) => ipAddress.safeParse(text).success)
    .registerFunction('isCIDR(string): bool', (text: string) => cidr.safeParse(text).success)
    .registerFunction('string.re2(string): bool', (text: string, pattern: string) =>
      this.#pattern(pattern).matcher(text).find(),
    )
    .registerFunction('present(ast): bool', present)
  readonly #programs = new Map<string, ParseResult>()
  readonly #patterns = new Map<string, RE2JS>()

  /** Whether a rule holds for a value, which has its defaults. */
  holds(rule: string, schema: OpenApi, value: unknown): boolean {
    let program = this.#programs.get(rule)
    if (program === undefined) {
      program = this.#environment.parse(rule.replaceAll('.matches(', '.re2(').replaceAll(/\bhas\(/g, 'present('))
      this.#programs.set(rule, program)
    }
    return program({ self: toCel(schema, value) }) === true
  }

  #pattern(source: string): RE2JS {
    const known = this.#patterns.get(source) ?? RE2JS.compile(source)
    this.#patterns.set(source, known)
    return known
  }
}

interface Node {
  readonly op: string
  readonly args: readonly [Node, string]
}

/** `has` that takes any expression before the last field, `has(self.matches[0].path)` too, which the library's does not. */
function present({ args: [field] }: { readonly args: readonly [Node] }): unknown {
  return {
    typeCheck: (
      checker: { check(node: Node, context: unknown): unknown; getType(name: string): unknown },
      _: unknown,
      context: unknown,
    ) => {
      checker.check(field.args[0], context)
      return checker.getType('bool')
    },
    evaluate: (evaluator: { run(node: Node, context: unknown): object }, _: unknown, context: unknown) =>
      Object.hasOwn(evaluator.run(field.args[0], context), field.args[1]),
  }
}

const reserved = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
)

function toCel(schema: OpenApi, value: unknown): unknown {
  if (typeof value === 'number') return schema.type === 'integer' ? BigInt(value) : value
  if (Array.isArray(value)) return value.map((item: unknown) => toCel(schema.items ?? {}, item))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => {
      const below = schema.properties?.[name] ?? schema.additionalProperties ?? {}
      const escaped = schema.properties !== undefined && reserved.has(name) ? `__${name}__` : name
      return [escaped, toCel(below, item)]
    }),
  )
}
