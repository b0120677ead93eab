// Header modifiers of a rule and of one of its backends, composed: the backend's come after the rule's. Envoy would apply
// them the other way round, so what a backend changes stands beside the backend whole, the rule's share included.
import type { HeaderModifier } from '../../api/index.ts'
import type { Message } from '../../proto/types.ts'
import { DST_HEADER, PASS_HEADER } from '../names.ts'

type HeaderValueOption = Message<'envoy.config.core.v3.HeaderValueOption'>

/** The fields that routes and weighted clusters have in common. */
export interface HeaderFields {
  readonly request_headers_to_add?: readonly HeaderValueOption[]
  readonly request_headers_to_remove?: readonly string[]
  readonly response_headers_to_add?: readonly HeaderValueOption[]
  readonly response_headers_to_remove?: readonly string[]
}

export interface HeaderChanges {
  readonly request: readonly HeaderModifier[]
  readonly response: readonly HeaderModifier[]
}

export const NO_CHANGES: HeaderChanges = { request: [], response: [] }

/** First the former, then the latter. */
export const thenChange = (first: HeaderChanges, second: HeaderChanges): HeaderChanges => ({
  request: [...first.request, ...second.request],
  response: [...first.response, ...second.response],
})

export function headerFields(changes: HeaderChanges): HeaderFields {
  const request = compose(changes.request)
  const response = compose(changes.response)
  return {
    ...(request.add.length > 0 && { request_headers_to_add: request.add }),
    ...(request.remove.length > 0 && { request_headers_to_remove: request.remove }),
    ...(response.add.length > 0 && { response_headers_to_add: response.add }),
    ...(response.remove.length > 0 && { response_headers_to_remove: response.remove }),
  }
}

/** The host that request modifiers ask for: Envoy takes `Host` for part of the route and refuses it among other headers. */
export function hostOf(modifiers: readonly HeaderModifier[]): string | undefined {
  return modifiers
    .flatMap(({ set = [], add = [] }) => [...set, ...add])
    .findLast(({ name }) => name.toLowerCase() === 'host')?.value
}

/** Envoy removes first and adds then, in the order given. */
function compose(modifiers: readonly HeaderModifier[]): { add: HeaderValueOption[]; remove: string[] } {
  let add: HeaderValueOption[] = []
  const remove = new Set<string>()
  const forget = (name: string): void => {
    add = add.filter(({ header }) => header?.key !== name)
  }
  for (const modifier of modifiers) {
    for (const key of (modifier.remove ?? []).map((name) => name.toLowerCase()).filter(changeable)) {
      forget(key)
      remove.add(key)
    }
    for (const { key, value } of lowered(modifier.set)) {
      forget(key)
      add.push({ header: { key, value }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' })
    }
    for (const { key, value } of lowered(modifier.add))
      add.push({ header: { key, value }, append_action: 'APPEND_IF_EXISTS_OR_ADD' })
  }
  return { add, remove: [...remove] }
}

/** Values are format strings to Envoy: a per cent sign is doubled. */
const lowered = (headers: HeaderModifier['set']): { key: string; value: string }[] =>
  (headers ?? [])
    .map(({ name, value }) => ({ key: name.toLowerCase(), value: value.replaceAll('%', '%%') }))
    .filter(({ key }) => changeable(key))

/** A name that is no token is no header's; `Host` is not Envoy's to change here; the internal headers are nobody's. */
const changeable = (name: string): boolean =>
  /^[a-z0-9!#$%&'*+\-.^_`|~]+$/.test(name) && name !== 'host' && name !== DST_HEADER && name !== PASS_HEADER
