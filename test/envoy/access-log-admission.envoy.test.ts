/** What the schema admits in access logs, a real Envoy takes; what it refuses would have cost every listener. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type AccessLog, diagnosticText, kinds, parse } from '../../src/api/index.ts'
import { celFault } from '../../src/api/heddle/access-log/cel-filter.ts'
import { commandOperators, formatFault } from '../../src/api/heddle/access-log/command-operators.ts'
import { accessLogs } from '../../src/envoy/access-log.ts'
import { validate } from '../support/envoy.ts'
import { webListener } from './filters/listeners.ts'

const log = (text: string, filter?: string): AccessLog => ({
  type: 'File',
  format: { type: 'Text', text },
  side: 'Both',
  ...(filter !== undefined && { filter }),
})

/** Envoy's own words against logs; undefined if it takes all of them. */
const taken = (logs: readonly AccessLog[]): Promise<string | undefined> =>
  validate(
    JSON.stringify({
      static_resources: {
        listeners: [
          webListener('web', {
            filters: [],
            manager: { access_log: accessLogs({ accessLogs: [...logs] }, 'Inbound') },
          }),
        ],
      },
    }),
  )

/** What the schema says of one log; empty if it admits it. */
const admitted = (accessLog: object): readonly string[] => {
  const parsed = parse(kinds.Mesh, {
    apiVersion: 'heddle.dev/v1alpha1',
    kind: 'Mesh',
    metadata: { name: 'default' },
    spec: { accessLogs: [accessLog] },
  })
  return parsed.ok ? [] : parsed.errors.map(diagnosticText)
}

const examples: Readonly<Record<string, string>> = {
  CEL: '(request.headers["a)b"])',
  COMMON_DURATION: '(DS_RX_BEG:US_RX_END:us)',
  FILTER_STATE: '(a:FIELD:b)',
  METADATA: '(ROUTE:a:b)',
  PATH: '(NQ:ORIG)',
  QUERY_PARAMS: '(DECODED)',
  UPSTREAM_FILTER_STATE: '(a:PLAIN)',
}

test('every operator that is admitted', async () => {
  const formats = [...commandOperators].flatMap(([name, { argument, length }]) => {
    const example =
      argument === 'none' || argument === 'optional'
        ? ''
        : (examples[name] ?? (argument === 'header' ? '(a?:path)' : '(a)'))
    return [`%${name}${example}%`, ...(length === true ? [`%${name}${example}:7%`] : [])]
  })
  expect(formats.flatMap((format) => formatFault(format) ?? [])).toEqual([])
  expect(await taken(formats.map((format) => log(`100%% ${format}`)))).toBeUndefined()
})

const faulty = [
  ['100% sure', 'and "%%" for a percent sign, not "% sure"'],
  ['%DURATION', 'as %NAME%'],
  ['%duration%', 'as %NAME%'],
  ['%RESPONSE_COD%', 'of which %RESPONSE_COD% is none; did you mean %RESPONSE_CODE%?'],
  ['%NOBODY_KNOWS_ME%', 'of which %NOBODY_KNOWS_ME% is none'],
  ['%DURATION(x)%', '%DURATION% without an argument'],
  ['%START_TIME:5%', '%START_TIME% without a length'],
  ['%REQ%', 'with the name of a header, as %REQ(x-user)%'],
  ['%REQ(a?b?c)%', 'with the name of a header'],
  ['%REQ(a b)%', 'with the name of a header'],
  ['%PATH(QUERY)%', 'with an argument of the form'],
  ['%FILTER_STATE(a:FOO)%', 'with an argument of the form'],
  ['%METADATA(FOO:a)%', 'with an argument of the form'],
  ['%COMMON_DURATION(a:b:s)%', 'with an argument of the form'],
  ['%DYNAMIC_METADATA%', 'with an argument, as %DYNAMIC_METADATA(...)%'],
  ['%CEL(1 +)%', 'with an expression of CEL, which does not parse'],
] as const

test.each(faulty)('a format that Envoy refuses: %s', async (format, said) => {
  expect(await taken([log(format)])).toBeDefined()
  expect(admitted({ type: 'File', format: { text: format } })).toEqual([
    expect.stringMatching(/^spec\.accessLogs\[0\]\.format\.text: got .*; expected /),
  ])
  expect(admitted({ type: 'File', format: { text: format } })[0]).toContain(said)
  expect(
    admitted({ type: 'OpenTelemetry', openTelemetry: { host: 'c' }, format: { type: 'JSON', json: { a: format } } }),
  ).toEqual([expect.stringContaining(said)])
})

const expressions = [
  ['response.code = 500', 'which does not parse'],
  ['response.code == 500 and true', 'which does not parse'],
  ['request.path.lowerAscii() == "a"', 'without .lowerAscii()'],
  ['string(response.code) == "500"', 'without string()'],
  ['size(request.path, 1) > 1', 'without size() of 2 arguments'],
  ['[1, 2].exists(x, x == response.code)', 'without .exists()'],
  ['has(request)', 'with has(...) of a field only'],
  ['request.path.matches("(?=a)")', 'with regular expressions of RE2'],
  ['request.path.matches("a{200}")', 'with smaller regular expressions'],
  ['request.size > 9223372036854775808', 'with integers of 64 bits'],
  ['0X1F == 31', 'with "0x" for hexadecimal numbers'],
  [`${'1+'.repeat(40)}1 > 0`, 'no deeper than'],
  [`${'('.repeat(40)}true${')'.repeat(40)}`, 'no deeper than'],
] as const

test.each(expressions)('an expression that Envoy refuses: %s', async (filter, said) => {
  expect(await taken([log('x', filter)])).toBeDefined()
  expect(admitted({ type: 'File', filter })).toEqual([
    expect.stringMatching(/^spec\.accessLogs\[0\]\.filter: got .*; expected an expression of CEL as Envoy takes it, /),
  ])
  expect(admitted({ type: 'File', filter })[0]).toContain(said)
})

test('expressions that people write', async () => {
  const filters = [
    'response.code >= 500',
    "!(request.path.startsWith('/healthz') || request.path == '/ready') && response.code != 200",
    'request.duration > duration("1s") || has(request.headers.x_debug)',
    `'x-user' in request.headers && request.headers['x-user'].matches("^/api/v[0-9]+/.*$")`,
    'int(request.headers["content-length"]) > 1024 ? connection.mtls : size(request.path) > 3',
    'request.time.getHours("UTC") in [1, 2, 3]',
    Array.from({ length: 60 }, (_, index) => `response.code == ${index}`).join(' || '),
  ]
  expect(filters.flatMap((filter) => celFault(filter) ?? [])).toEqual([])
  expect(await taken(filters.map((filter) => log('x', filter)))).toBeUndefined()
})

test('expressions made up at random: all that are admitted', async () => {
  const token = fc.constantFrom(
    'response.code',
    'request.path',
    '500',
    '"a"',
    "'b'",
    '(',
    ')',
    '[',
    ']',
    '{',
    '}',
    ',',
    ':',
    '==',
    '!=',
    '<',
    '&&',
    '||',
    '!',
    '-',
    '+',
    '?',
    '.size()',
    '.contains(',
    'size(',
    'has(',
    'in',
    'true',
    '.a',
    'a',
    '1.5',
    '1u',
    "r'\\d'",
    '"\\n"',
    'b"a"',
    '0x1F',
    'null',
    '.matches(',
    "'''a'b'''",
    '// c\n',
    '%',
    'type(',
    'duration(',
  )
  const tokens = fc.array(token, { minLength: 1, maxLength: 9 }).map((parts) => parts.join(' '))
  const made = fc
    .sample(tokens, { seed: 7, numRuns: 60_000 })
    .filter((expression) => celFault(expression) === undefined)
  const filters = [...new Set(made)]
  expect(filters.length).toBeGreaterThan(300)
  expect(await taken(filters.map((filter) => log('x', filter)))).toBeUndefined()
})

test('a path that is not absolute', () => {
  expect(admitted({ type: 'File', file: { path: 'access.log' } })).toEqual([
    'spec.accessLogs[0].file.path: got "access.log"; expected an absolute path such as /var/log/envoy.log',
  ])
})
