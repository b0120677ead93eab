/**
 * Filters of HTTPRoute and GRPCRoute. A filter's `type` names the one field beside it that is set; some types may
 * appear once only. Rules as in Gateway API v1.6.
 */
import { z } from 'zod'
import { type Rule, uniqueBy, uniqueItems, withRules } from '../rules.ts'
import { dnsSubdomain, headerName, headerValue, portNumber } from '../text.ts'
import { backendObjectReference, localObjectReference } from './references.ts'

const header = z.object({
  name: headerName.describe('Name of the header; upper and lower case are one.'),
  value: headerValue.describe('Value of the header.'),
})

const headerModifier = z.object({
  set: uniqueBy(z.array(header).max(16), 'name').optional().describe('Headers to set, whatever was there.'),
  add: uniqueBy(z.array(header).max(16), 'name').optional().describe('Headers to add to what is there.'),
  remove: uniqueItems(z.array(z.string()).max(16)).optional().describe('Names of headers to remove.'),
})

const fraction = withRules(
  z.object({
    numerator: z.int32().min(0).describe('Part.'),
    denominator: z.int32().min(1).default(100).describe('Whole.'),
  }),
  {
    holds: ({ numerator, denominator }) => numerator <= denominator,
    message: 'numerator must not exceed denominator',
    path: ['numerator'],
  },
)

const requestMirror = withRules(
  z.object({
    backendRef: backendObjectReference.describe('Where copies of requests go; their responses are ignored.'),
    percent: z.int32().min(0).max(100).optional().describe('Share of requests to copy, of 100; all by default.'),
    fraction: fraction.optional().describe('Share of requests to copy, as a fraction.'),
  }),
  {
    holds: ({ percent, fraction: part }) => percent === undefined || part === undefined,
    message: 'give either percent or fraction, not both',
    path: ['fraction'],
  },
)

const pathModifier = withRules(
  z.object({
    type: z
      .enum(['ReplaceFullPath', 'ReplacePrefixMatch'])
      .describe('Whether the whole path is replaced or the matched prefix.'),
    replaceFullPath: z.string().max(1024).optional().describe('The new path.'),
    replacePrefixMatch: z.string().max(1024).optional().describe('What replaces the matched prefix.'),
  }),
  ...(['ReplaceFullPath', 'ReplacePrefixMatch'] as const).map((type) => {
    const field = type === 'ReplaceFullPath' ? 'replaceFullPath' : 'replacePrefixMatch'
    return {
      holds: (path: { type: string; replaceFullPath?: string | undefined; replacePrefixMatch?: string | undefined }) =>
        (path.type === type) === (path[field] !== undefined),
      message: `${field} goes with type ${type}, and only with it`,
      path: [field],
    }
  }),
)

const requestRedirect = z.object({
  scheme: z.enum(['http', 'https']).optional().describe('Scheme of the new location.'),
  hostname: dnsSubdomain.optional().describe('Host of the new location.'),
  path: pathModifier.optional().describe('Path of the new location.'),
  port: portNumber.optional().describe('Port of the new location.'),
  statusCode: z.literal([301, 302, 303, 307, 308]).default(302).describe('Status of the response.'),
})

const urlRewrite = z.object({
  hostname: dnsSubdomain.optional().describe('What replaces the Host.'),
  path: pathModifier.optional().describe('What replaces the path.'),
})

const alone = (list: readonly string[] | undefined): boolean =>
  list === undefined || !list.includes('*') || list.length === 1

const origin = z
  .string()
  .min(1)
  .max(253)
  .regex(
    /(^\*$)|(^(http(s)?):\/\/(((\*\.)?([a-zA-Z0-9-]+\.)*[a-zA-Z0-9-]+|\*)(:([0-9]{1,5}))?)$)/,
    'an origin such as https://www.example.com:8443 or https://*.example.com, or "*"',
  )

const corsMethods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', '*'] as const

const cors = withRules(
  z.object({
    allowOrigins: uniqueItems(z.array(origin).max(64)).optional().describe('Origins that may read responses.'),
    allowCredentials: z.boolean().optional().describe('Whether cookies and authorization may be sent along.'),
    allowMethods: uniqueItems(z.array(z.enum(corsMethods)).max(9))
      .optional()
      .describe('Methods that may be used.'),
    allowHeaders: uniqueItems(z.array(headerName).max(64)).optional().describe('Request headers that may be sent.'),
    exposeHeaders: uniqueItems(z.array(headerName).max(64))
      .optional()
      .describe('Response headers that scripts may read.'),
    maxAge: z.int32().min(1).default(5).describe('Seconds for which a preflight answer may be cached.'),
  }),
  ...(['allowOrigins', 'allowMethods', 'allowHeaders'] as const).map((field) => ({
    holds: (value: { readonly [name in typeof field]?: readonly string[] | undefined }) => alone(value[field]),
    message: '"*" stands alone: name either all or some',
    path: [field],
  })),
)

const externalAuth = withRules(
  z.object({
    protocol: z.enum(['HTTP', 'GRPC']).describe('What the authorization service speaks.'),
    backendRef: backendObjectReference.describe('The authorization service.'),
    grpc: z
      .object({ allowedHeaders: uniqueItems(z.array(z.string()).max(64)).optional().describe('Headers it is sent.') })
      .optional()
      .describe('For GRPC.'),
    http: z
      .object({
        path: z
          .string()
          .max(1024)
          .regex(/^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$/, 'a URL path')
          .optional()
          .describe('Prefix of the path it is asked at.'),
        allowedHeaders: uniqueItems(z.array(z.string()).max(64)).optional().describe('Headers it is sent.'),
        allowedResponseHeaders: uniqueItems(z.array(z.string()).max(64))
          .optional()
          .describe('Headers copied from its response.'),
      })
      .optional()
      .describe('For HTTP.'),
    forwardBody: z
      .object({ maxSize: z.int().optional().describe('Bytes at most.') })
      .optional()
      .describe('Whether it sees the body.'),
  }),
  ...(['grpc', 'http'] as const).map((field) => ({
    holds: (value: { protocol: string; grpc?: unknown; http?: unknown }) =>
      (value.protocol.toLowerCase() === field) === (value[field] !== undefined),
    message: `${field} goes with protocol ${field.toUpperCase()}, and only with it`,
    path: [field],
  })),
)

/** The field that belongs to each type. */
const fieldOf = {
  RequestHeaderModifier: 'requestHeaderModifier',
  ResponseHeaderModifier: 'responseHeaderModifier',
  RequestMirror: 'requestMirror',
  RequestRedirect: 'requestRedirect',
  URLRewrite: 'urlRewrite',
  CORS: 'cors',
  ExternalAuth: 'externalAuth',
  ExtensionRef: 'extensionRef',
} as const

function typedByField(types: readonly (keyof typeof fieldOf)[]): Rule<{ readonly type: string }>[] {
  return types.map((type) => ({
    holds: (filter) =>
      (filter.type === type) === ((filter as Readonly<Record<string, unknown>>)[fieldOf[type]] !== undefined),
    message: `${fieldOf[type]} goes with type ${type}, and only with it`,
    path: [fieldOf[type]],
  }))
}

function onceOnly(types: readonly string[]): Rule<readonly { readonly type: string }[]>[] {
  return types.map((type) => ({
    holds: (filters) => filters.filter((filter) => filter.type === type).length <= 1,
    message: `only one ${type} filter in a list; put all of it into that one`,
  }))
}

const commonFields = {
  requestHeaderModifier: headerModifier.optional().describe('Changes of request headers.'),
  responseHeaderModifier: headerModifier.optional().describe('Changes of response headers.'),
  requestMirror: requestMirror.optional().describe('Copies requests to another backend.'),
  extensionRef: localObjectReference.optional().describe('A filter of another kind; Heddle has none.'),
}

const grpcTypes = ['RequestHeaderModifier', 'ResponseHeaderModifier', 'RequestMirror', 'ExtensionRef'] as const
const httpTypes = [...grpcTypes, 'RequestRedirect', 'URLRewrite', 'CORS', 'ExternalAuth'] as const

const grpcFilter = withRules(
  z.object({ type: z.enum(grpcTypes).describe('What the filter does.'), ...commonFields }),
  ...typedByField(grpcTypes),
)

const httpFilter = withRules(
  z.object({
    type: z.enum(httpTypes).describe('What the filter does.'),
    ...commonFields,
    requestRedirect: requestRedirect.optional().describe('Answers with a redirection.'),
    urlRewrite: urlRewrite.optional().describe('Changes host or path on the way to the backend.'),
    cors: cors.optional().describe('Answers cross-origin requests (Fetch standard).'),
    externalAuth: externalAuth.optional().describe('Asks another service whether the request may pass.'),
  }),
  ...typedByField(httpTypes),
)

export const grpcFilters = withRules(
  z.array(grpcFilter).max(16),
  ...onceOnly(['RequestHeaderModifier', 'ResponseHeaderModifier']),
)

export const httpFilters = withRules(
  z.array(httpFilter).max(16),
  {
    holds: (filters) =>
      !(filters.some(({ type }) => type === 'RequestRedirect') && filters.some(({ type }) => type === 'URLRewrite')),
    message: 'RequestRedirect and URLRewrite exclude each other',
  },
  ...onceOnly(['CORS', 'RequestHeaderModifier', 'ResponseHeaderModifier', 'RequestRedirect', 'URLRewrite']),
)

export type HeaderModifier = z.infer<typeof headerModifier>
export type RequestMirror = z.infer<typeof requestMirror>
export type PathModifier = z.infer<typeof pathModifier>
export type RequestRedirect = z.infer<typeof requestRedirect>
export type UrlRewrite = z.infer<typeof urlRewrite>
export type Cors = z.infer<typeof cors>
export type ExternalAuth = z.infer<typeof externalAuth>
export type GRPCRouteFilter = z.infer<typeof grpcFilter>
export type HTTPRouteFilter = z.infer<typeof httpFilter>
