// When two versions of an object mean the same: all that people wrote is equal. What the API server counts and notes on the side
// changes all the time and means nothing to a mesh, so it must not touch a table.

const bookkeeping: ReadonlySet<string> = new Set(['resourceVersion', 'managedFields'])
const none: ReadonlySet<string> = new Set()

/** Deep equality of two objects, apart from `status`, `metadata.resourceVersion` and `metadata.managedFields`. */
export function sameContent(a: object, b: object): boolean {
  if (a === b) return true
  const left = a as Fields
  const right = b as Fields
  return (
    sameFields(left, right, new Set(['status', 'metadata'])) &&
    (isFields(left['metadata']) && isFields(right['metadata'])
      ? sameFields(left['metadata'], right['metadata'], bookkeeping)
      : same(left['metadata'], right['metadata']))
  )
}

type Fields = Readonly<Record<string, unknown>>

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Absent and undefined are the same, as they are in JSON. */
function sameFields(a: Fields, b: Fields, except: ReadonlySet<string>): boolean {
  for (const key in a) if (!except.has(key) && !same(a[key], b[key])) return false
  for (const key in b) if (!except.has(key) && a[key] === undefined && b[key] !== undefined) return false
  return true
}

function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, index) => same(item, b[index]))
  }
  return isFields(a) && isFields(b) && sameFields(a, b, none)
}
