// EnvoyPatch: what people change in a generated resource, applied to the message as it was authored and checked before it is served.
// An object is applied to a resource whole or not at all, so that half of a change never reaches a proxy.
import { applyPatch, type Operation } from 'rfc6902'
import { type Diagnostic, fieldText } from '../api/diagnostic.ts'
import type { JsonPatchOperation, ResourcePatch } from '../api/index.ts'
import type { PatchInEffect } from '../mesh/patches.ts'
import { EncodeError, type Protos } from '../proto/encode.ts'
import type { MessageName } from '../proto/types.ts'

export interface PatchRefused {
  /** Key of the EnvoyPatch. */
  readonly object: string
  /** Type and name of the resource that it could not change. */
  readonly type: MessageName
  readonly name: string
  readonly diagnostic: Diagnostic
}

export interface Patched {
  /** The message with all objects that could be applied; the same object where none had anything to change. */
  readonly message: unknown
  /** Keys of the objects that changed it, in their order. */
  readonly applied: readonly string[]
  readonly refused: readonly PatchRefused[]
}

/** Characters of JSON that a patched resource may have; copies of copies would grow without end. */
const LARGEST = 4 * 1024 * 1024

/**
 * Applies what `patches`, in their order, say of one resource. Nothing is thrown: what cannot be applied, or does not give a
 * message of that type any more, is refused and left out, and the others are applied nevertheless.
 */
export function applyPatches(
  protos: Pick<Protos, 'encodeUnknown'>,
  type: MessageName,
  name: string,
  message: unknown,
  patches: readonly PatchInEffect[],
): Patched {
  let current = message
  const applied: string[] = []
  const refused: PatchRefused[] = []
  for (const { object, patches: all } of patches) {
    const own = [...all.entries()].filter(([, patch]) => isFor(patch, type, name))
    if (own.length === 0) continue
    const result = apply(protos, type, name, current, own)
    if ('diagnostic' in result) refused.push({ object, type, name, diagnostic: result.diagnostic })
    else {
      current = result.message
      applied.push(object)
    }
  }
  return { message: current, applied, refused }
}

function isFor(patch: ResourcePatch, type: MessageName, name: string): boolean {
  return patch.type === `type.googleapis.com/${type}` && (patch.name === undefined || patch.name === name)
}

type Result = { readonly message: unknown } | { readonly diagnostic: Diagnostic }

function apply(
  protos: Pick<Protos, 'encodeUnknown'>,
  type: MessageName,
  name: string,
  message: unknown,
  patches: readonly (readonly [number, ResourcePatch])[],
): Result {
  // the library changes what it is given, and what is given here is shared; undefined fields are absent ones
  const copy: unknown = JSON.parse(JSON.stringify(message))
  const where = `${type} "${name}"`
  let last = 0
  for (const [index, { operation }] of patches) {
    last = index
    const problem = applyOne(copy, operation)
    if (problem !== undefined) return refusal(index, 'operation', operation.path, `${problem} in ${where}`)
  }
  if (!isNamed(copy, type, name))
    return refusal(last, 'operation', undefined, `the name of ${where} must stay: proxies ask for it by that name`)
  try {
    protos.encodeUnknown(type, copy)
  } catch (error) {
    if (!(error instanceof EncodeError)) throw error
    return refusal(last, 'operation', undefined, `with these patches ${where} is no valid message: ${error.message}`)
  }
  return { message: copy }
}

/** What is wrong, or undefined where it was done. */
function applyOne(document: unknown, operation: JsonPatchOperation): string | undefined {
  const { op, path } = operation
  if (FORBIDDEN.test(path) || FORBIDDEN.test(operation.from ?? '')) return 'no field of Envoy has that name'
  // the schema guarantees the members that go with each operation
  const [error] = applyPatch(document, [operation as Operation])
  if (error !== null && error !== undefined) {
    if (error.name === 'TestError') return 'the value there is not the one that is tested for'
    if (error.name === 'MissingError')
      return op === 'add' ? 'there is nothing at that path to add to' : `there is nothing to ${op} at that path`
    return error.message
  }
  // only copies multiply
  return op === 'copy' && JSON.stringify(document).length > LARGEST ? 'the copies make it larger than 4 MiB' : undefined
}

/** Names that would reach what all objects of this process share. */
const FORBIDDEN = /(^|\/)(__proto__|constructor|prototype)(\/|$)/

/** The field by which proxies know a resource of each type that can be patched. */
function isNamed(message: unknown, type: MessageName, name: string): boolean {
  if (typeof message !== 'object' || message === null) return false
  const field = type === 'envoy.config.endpoint.v3.ClusterLoadAssignment' ? 'cluster_name' : 'name'
  return (message as Readonly<Record<string, unknown>>)[field] === name
}

function refusal(
  index: number,
  member: 'operation',
  value: string | undefined,
  message: string,
): { diagnostic: Diagnostic } {
  const path = ['spec', 'patches', index, member, ...(value === undefined ? [] : ['path'])]
  return {
    diagnostic: {
      severity: 'error',
      code: 'patch-refused',
      path,
      field: fieldText(path),
      ...(value !== undefined && { value }),
      message,
    },
  }
}
