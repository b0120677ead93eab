/**
 * Whether Envoy takes a CEL expression, as the filter of an access log or in `%CEL(...)%`. An expression that Envoy does not take
 * makes it refuse every listener, so what is admitted is what Envoy 1.40 was seen to build: it knows few functions, no macros but
 * `has`, and bounds depth and regular expressions. A little that it would take, such as messages, is refused.
 */
import { type ASTNode, parse } from '@marcbachmann/cel-js'
import { RE2JS } from 're2js'

/** Numbers of arguments by name, of functions and of methods (without what stands before the dot). */
const functions: Readonly<Record<string, number>> = {
  bool: 1,
  bytes: 1,
  double: 1,
  duration: 1,
  dyn: 1,
  int: 1,
  matches: 2,
  size: 1,
  timestamp: 1,
  type: 1,
  uint: 1,
}
const methods: Readonly<Record<string, readonly number[]>> = {
  contains: [1],
  endsWith: [1],
  matches: [1],
  size: [0],
  startsWith: [1],
  ...Object.fromEntries(
    [
      'Date',
      'DayOfMonth',
      'DayOfWeek',
      'DayOfYear',
      'FullYear',
      'Hours',
      'Milliseconds',
      'Minutes',
      'Month',
      'Seconds',
    ].map((part) => [`get${part}`, [0, 1]]),
  ),
}

/** Envoy gives up at 32, of brackets and of operations. */
const deepest = 24
/** Envoy gives up at 100 instructions of a regular expression; those of bytes are more than those of characters, hence the estimate. */
const largestRegex = 90

/** What is wrong with an expression and how to mend it, as a part of a sentence; undefined if Envoy takes it. */
export function celFault(expression: string): string | undefined {
  let ast: ASTNode
  try {
    // the parser is recursive: brackets are counted before it runs
    if (bracketDepth(expression) > deepest) return tooDeep
    ast = parse(expression).ast
  } catch (error) {
    const [first = ''] = (error instanceof Error ? error.message : String(error)).split('\n')
    return `which does not parse: ${first}`
  }
  return depthOf(ast) > deepest ? tooDeep : nodeFault(ast)
}

const tooDeep = `no deeper than ${deepest} operations or brackets: split it`

function bracketDepth(expression: string): number {
  let depth = 0
  let most = 0
  for (const character of expression) {
    if ('([{'.includes(character)) most = Math.max(most, ++depth)
    else if (')]}'.includes(character)) depth -= 1
  }
  return most
}

function depthOf(node: ASTNode): number {
  // chains of && and || become balanced trees
  const parts = node.op === '&&' || node.op === '||' ? chain(node, node.op) : childrenOf(node)
  const levels = node.op === '&&' || node.op === '||' ? Math.ceil(Math.log2(parts.length)) : 1
  return levels + Math.max(0, ...parts.map(depthOf))
}

function chain(node: ASTNode, op: '&&' | '||'): readonly ASTNode[] {
  return node.op === op ? node.args.flatMap((arg) => chain(arg, op)) : [node]
}

function childrenOf(node: ASTNode): readonly ASTNode[] {
  switch (node.op) {
    case 'value':
    case 'id':
      return []
    case '.':
    case '.?':
      return [node.args[0]]
    case 'call':
      return node.args[1]
    case 'rcall':
      return [node.args[1], ...node.args[2]]
    case 'map':
      return node.args.flat()
    case '!_':
    case '-_':
      return [node.args]
    default:
      return node.args
  }
}

function nodeFault(node: ASTNode): string | undefined {
  const own = ownFault(node)
  if (own !== undefined) return own
  for (const child of childrenOf(node)) {
    const fault = nodeFault(child)
    if (fault !== undefined) return fault
  }
  return undefined
}

function ownFault(node: ASTNode): string | undefined {
  const called = node.op === 'call' || node.op === 'rcall'
  if (called && /,(?:\s|\/\/.*\n)*\)$/.test(node.input.slice(node.start, node.end)))
    return 'without a comma after the last argument'
  switch (node.op) {
    case 'value':
      return numberFault(node.args, node.input.slice(node.start, node.end))
    // Envoy's grammar has either before an operand, not both
    case '-_':
    case '!_':
      return ['-_', '!_'].includes(node.args.op) && node.args.op !== node.op
        ? 'without "!" and "-" together'
        : undefined
    case '.?':
    case '[?]':
      return 'without optional values: write has(...) instead'
    case 'call': {
      const [name, args] = node.args
      if (name === 'has' && args.length === 1 && args[0]?.op === '.') return undefined
      if (name === 'has') return 'with has(...) of a field only, such as has(request.headers.host)'
      const known = Object.hasOwn(functions, name) && functions[name] === args.length
      if (!known) return callFault(`${name}()`, Object.keys(functions), args.length, Object.hasOwn(functions, name))
      return name === 'matches' ? regexFault(args[1]) : undefined
    }
    case 'rcall': {
      const [name, , args] = node.args
      const known = Object.hasOwn(methods, name) && methods[name]?.includes(args.length) === true
      if (!known) return callFault(`.${name}()`, Object.keys(methods), args.length, Object.hasOwn(methods, name))
      return name === 'matches' ? regexFault(args[0]) : undefined
    }
    default:
      return undefined
  }
}

function callFault(call: string, names: readonly string[], count: number, known: boolean): string {
  return known
    ? `without ${call} of ${count} arguments`
    : `without ${call}: Envoy knows ${call.startsWith('.') ? 'after a dot' : 'as functions'} only ${names.join(', ')}`
}

function numberFault(value: unknown, text: string): string | undefined {
  if (typeof value === 'bigint' && value >= 2n ** 63n) return `with integers of 64 bits, not ${text}`
  return text.startsWith('0X') ? `with "0x" for hexadecimal numbers, not ${text}` : undefined
}

function regexFault(node: ASTNode | undefined): string | undefined {
  if (node?.op !== 'value' || typeof node.args !== 'string') return undefined
  try {
    if (regexCost(node.args) <= largestRegex) return undefined
  } catch {
    return `with regular expressions of RE2, not ${JSON.stringify(node.args)}`
  }
  return `with smaller regular expressions than ${JSON.stringify(node.args)}: use startsWith, endsWith, contains or several`
}

/** No fewer instructions than Envoy counts: a character that is not ASCII, and so any class, is several bytes. */
function regexCost(pattern: string): number {
  const size = RE2JS.compile(pattern).programSize()
  if (/\\[pP]/.test(pattern)) return Infinity
  const wide = pattern.match(/\[(?:\\.|[^\]])*\]+|\\[^]|\.|[^\0-\x7f]/gu) ?? []
  const extra = wide.reduce((sum, { length }) => sum + 4 + 4 * length, 0)
  const multiplied = /\{\d|\(\?[a-zA-Z]*i/.test(pattern)
  return multiplied && extra > 0 ? size * (1 + extra) : /\(\?[a-zA-Z]*i/.test(pattern) ? size * 4 : size + extra
}
