/** OpenAPI v3 schemas of custom resource definitions, as they stand in YAML, by `group/version/kind`. */
import { readFileSync } from 'node:fs'
import { parseAllDocuments } from 'yaml'

export interface OpenApi {
  readonly type?: string
  readonly format?: string
  readonly default?: unknown
  readonly nullable?: boolean
  readonly enum?: readonly unknown[]
  readonly pattern?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly maxProperties?: number
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, OpenApi>>
  readonly items?: OpenApi
  readonly additionalProperties?: OpenApi
  readonly 'x-kubernetes-int-or-string'?: boolean
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean
  readonly 'x-kubernetes-list-type'?: string
  readonly 'x-kubernetes-list-map-keys'?: readonly string[]
  readonly 'x-kubernetes-validations'?: readonly { readonly rule: string; readonly message: string }[]
}

interface Manifest {
  readonly kind?: string
  readonly spec: {
    readonly group: string
    readonly names: { readonly kind: string }
    readonly versions: readonly {
      readonly name: string
      readonly served: boolean
      readonly schema: { readonly openAPIV3Schema: OpenApi }
    }[]
  }
}

/** Schemas of all served versions in these files; manifests that are no CRDs are left out. */
export function readCrds(paths: readonly string[]): ReadonlyMap<string, OpenApi> {
  const schemas = new Map<string, OpenApi>()
  for (const path of paths) {
    for (const document of parseAllDocuments(readFileSync(path, 'utf8'))) {
      const manifest = document.toJS() as Manifest | null
      if (manifest?.kind !== 'CustomResourceDefinition') continue
      const { group, names, versions } = manifest.spec
      for (const { name, served, schema } of versions) {
        if (served) schemas.set(`${group}/${name}/${names.kind}`, schema.openAPIV3Schema)
      }
    }
  }
  return schemas
}
