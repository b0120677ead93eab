/** CustomResourceDefinitions of our own kinds, as YAML. */
import { stringify } from 'yaml'
import type { z } from 'zod'
import type { Kind } from '../../src/api/index.ts'
import { objectStatus, policyStatus } from '../../src/api/status.ts'
import { structural, type Structural } from './structural.ts'

/** The manifest of a kind's CRD; `apiVersion` and `kind` are checked by the API server itself. */
export function crdYaml(kind: Kind): string {
  return `# Generated from src/api by \`make generate\`; edit it there.\n${stringify(crd(kind), { lineWidth: 0 })}`
}

function crd(kind: Kind): object {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${kind.plural}.${kind.group}`, labels: { 'app.kubernetes.io/part-of': 'heddle' } },
    spec: {
      group: kind.group,
      names: {
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural: kind.plural,
        singular: kind.kind.toLowerCase(),
        ...(kind.shortNames.length > 0 && { shortNames: kind.shortNames }),
        categories: ['heddle'],
      },
      scope: kind.scope,
      versions: kind.versions.map((name) => ({
        name,
        served: true,
        storage: name === kind.version,
        ...(kind.statusShape !== 'None' && { subresources: { status: {} } }),
        additionalPrinterColumns: [
          ...kind.printerColumns,
          { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
        ],
        schema: { openAPIV3Schema: versionSchema(kind, kind.schemas[name] ?? kind.schema) },
      })),
    },
  }
}

function versionSchema(kind: Kind, schema: z.ZodType): Structural {
  const { properties = {}, required = [], ...root } = structural(schema)
  const status = kind.statusShape === 'None' ? {} : { status: structural(statusSchema(kind)) }
  const own = required.filter((name) => !['apiVersion', 'kind', 'metadata'].includes(name))
  return {
    ...root,
    description: kind.description,
    ...(own.length > 0 && { required: own }),
    properties: { ...properties, ...status },
  }
}

function statusSchema(kind: Kind): z.ZodType {
  return kind.statusShape === 'Ancestors' ? policyStatus : objectStatus
}
