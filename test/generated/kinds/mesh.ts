/** The one object of settings. */
import fc from 'fast-check'
import { aCidr, aDuration, aPercentage, distinct, few, type Raw, some } from './names.ts'
import { stanzas } from './stanzas.ts'

const collector = fc.constantFrom<object>(
  { host: 'collector.example.com', port: 4317 },
  { host: '10.0.0.9' },
  { host: 'fd00::9', port: 4318 },
)

const format = fc.constantFrom<object>(
  {},
  { text: '%START_TIME% %RESPONSE_CODE% %REQ(X-USER?:AUTHORITY):10%\n' },
  { type: 'Text', text: '100%% plain' },
  { type: 'JSON', json: { status: '%RESPONSE_CODE%', user: '%REQ(x-user)%', text: 'plain', empty: '' } },
  { type: 'JSON' },
)

const accessLog = fc
  .tuple(
    fc.oneof<fc.Arbitrary<object>[]>(
      fc.constantFrom({ type: 'File' }, { type: 'File', file: { path: '/dev/null' } }),
      collector.map((openTelemetry) => ({ type: 'OpenTelemetry', openTelemetry })),
    ),
    some({
      format,
      filter: fc.constantFrom('response.code >= 400', "request.headers['x-user'] == 'a'", 'false'),
      side: fc.constantFrom('Inbound', 'Outbound', 'Both'),
    }),
  )
  .map(([a, b]) => ({ ...a, ...b }))

const customTag = fc.constantFrom(
  { name: 'a', type: 'Literal', literal: { value: 'b' } },
  { name: 'c', type: 'RequestHeader', requestHeader: { name: 'x-user', defaultValue: 'nobody' } },
  { name: 'c2', type: 'RequestHeader', requestHeader: { name: 'x-user' } },
  { name: 'd', type: 'Environment', environment: { name: 'ZONE', defaultValue: '' } },
  { name: 'e f', type: 'Environment', environment: { name: 'NO SUCH' } },
)

const tracing = fc
  .record({
    provider: collector.map((openTelemetry) => ({ openTelemetry })),
    rest: some({ samplingPercent: aPercentage, customTags: distinct(customTag, ({ name }) => name) }),
  })
  .map(({ provider, rest }) => ({ provider, ...rest }))

export const mesh = (trustDomains: readonly string[]): fc.Arbitrary<Raw> =>
  fc
    .tuple(
      some({
        trustDomain: fc.constantFrom(...trustDomains),
        addressRanges: distinct(aCidr, String),
        mtls: some({ mode: fc.constantFrom('Strict', 'Permissive') }),
        authorization: fc.constantFrom({ default: 'Allow' }, { default: 'Deny' }, {}),
        defaults: stanzas,
        accessLogs: few(accessLog),
        tracing,
        warmSet: some({ maxEntries: fc.constantFrom(0, 200), maxAge: aDuration }),
      }),
      fc.record({
        outbound: some({
          discovery: fc.constantFrom('Eager', 'OnDemand'),
          unknownDestinations: fc.constantFrom('Passthrough', 'Refuse'),
        }),
        envoyPatch: some({ allowedNamespaces: fc.constantFrom(['*'], ['shop'], []) }),
      }),
    )
    .map(([a, b]) => ({
      apiVersion: 'heddle.dev/v1alpha1',
      kind: 'Mesh',
      metadata: { name: 'default' },
      spec: { ...a, ...b },
    }))
