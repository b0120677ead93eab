/**
 * Fills in the templates under `envoy-bootstrap/`: the one place that turns them into an Envoy's bootstrap, for the
 * standalone runner, for the injector and for tests. Values are put in after the YAML has been read, so that none of them,
 * whatever it holds, can change the structure around it.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse, stringify } from 'yaml'

/** A file of `envoy-bootstrap/`. */
export type BootstrapTemplate = 'sidecar.yaml' | 'envoy.yaml' | 'token.yaml' | 'bundle.yaml'

/** A scalar that is one `${NAME}` and nothing else may become any value; inside longer text it must be a string or number. */
export type BootstrapValues = Readonly<Record<string, unknown>>

/** Text of a template, as it lies in the checkout or the package. */
export const readTemplate = (name: BootstrapTemplate): Promise<string> =>
  readFile(fileURLToPath(new URL(`../../envoy-bootstrap/${name}`, import.meta.url)), 'utf8')

const WHOLE = /^\$\{([A-Z_]+)\}$/
const PART = /\$\{([A-Z_]+)\}/g

/** The template as YAML with every `${NAME}` replaced. Throws where a name has no value: that is a bug of the caller. */
export function renderBootstrap(template: string, values: BootstrapValues): string {
  const valueOf = (name: string): unknown => {
    if (!Object.hasOwn(values, name)) throw new Error(`bootstrap template: no value for \${${name}}`)
    return values[name]
  }
  const fill = (node: unknown): unknown => {
    if (typeof node === 'string') {
      const whole = WHOLE.exec(node)?.[1]
      return whole !== undefined ? valueOf(whole) : node.replaceAll(PART, (_, name: string) => String(valueOf(name)))
    }
    if (Array.isArray(node)) return node.map(fill)
    if (node !== null && typeof node === 'object') {
      return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, fill(value)]))
    }
    return node
  }
  return stringify(fill(parse(template)), { lineWidth: 0, aliasDuplicateObjects: false })
}

/** Where the control plane serves xDS, as one proxy reaches it. */
export type XdsAddress = { readonly pipe: string } | { readonly host: string; readonly port: number }

export interface SidecarBootstrap {
  readonly namespace: string
  readonly name: string
  readonly locality: { readonly region: string; readonly zone: string; readonly subZone: string }
  readonly trustDomain: string
  readonly xds: XdsAddress
  readonly adminSocket: string
  /** Address of the ports 15021 and 15090: `::` for all of both families, `0.0.0.0`, or one address. */
  readonly probeAddress: string
  /** Paths of the two rendered SDS files. */
  readonly tokenSds: string
  readonly bundleSds: string
}

/** The values of `sidecar.yaml`. */
export function sidecarValues(sidecar: SidecarBootstrap): BootstrapValues {
  const { xds, locality } = sidecar
  return {
    NODE_ID: `${sidecar.name}.${sidecar.namespace}`,
    NODE_CLUSTER: sidecar.namespace,
    LOCALITY: { region: locality.region, zone: locality.zone, sub_zone: locality.subZone },
    ADMIN_SOCKET: sidecar.adminSocket,
    PROBE_ADDRESS: sidecar.probeAddress,
    // Envoy refuses this at other addresses.
    BOTH_FAMILIES: sidecar.probeAddress === '::',
    TRUST_DOMAIN: sidecar.trustDomain,
    // Envoy takes a Unix socket in STATIC clusters only, a host name in DNS clusters only.
    XDS_CLUSTER_TYPE: 'pipe' in xds ? 'STATIC' : 'STRICT_DNS',
    XDS_ADDRESS:
      'pipe' in xds ? { pipe: { path: xds.pipe } } : { socket_address: { address: xds.host, port_value: xds.port } },
    TOKEN_SDS: sidecar.tokenSds,
    BUNDLE_SDS: sidecar.bundleSds,
  }
}

/** What one proxy of the standalone runner reads from disk. */
export interface ProxyFiles {
  readonly bootstrap: string
  readonly adminSocket: string
  /** Log of the proxy itself. */
  readonly log: string
  readonly token: string
  readonly bundle: string
  readonly tokenSds: string
  readonly bundleSds: string
}

/** Names of the files of a proxy whose own folder is `directory`. */
export const proxyFiles = (directory: string): ProxyFiles => ({
  bootstrap: join(directory, 'bootstrap.yaml'),
  adminSocket: join(directory, 'admin.sock'),
  log: join(directory, 'envoy.log'),
  token: join(directory, 'credentials', 'token'),
  bundle: join(directory, 'credentials', 'bundle.pem'),
  tokenSds: join(directory, 'token.yaml'),
  bundleSds: join(directory, 'bundle.yaml'),
})

/**
 * Replaces a file by renaming, which is what Envoy's `watched_directory` notices; never readable by others. `handOver` gives
 * it to its reader before that.
 */
export async function replaceFile(
  path: string,
  text: string,
  handOver?: (path: string) => Promise<void>,
): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await writeFile(`${path}.new`, text, { mode: 0o600 })
  await handOver?.(`${path}.new`)
  await rename(`${path}.new`, path)
}

/** Writes all that a sidecar reads at its start. The owner of the files is the caller's business. */
export async function writeProxyFiles(
  files: ProxyFiles,
  sidecar: Omit<SidecarBootstrap, 'adminSocket' | 'tokenSds' | 'bundleSds'>,
  credentials: { readonly token: string; readonly bundle: string },
): Promise<void> {
  const [template, token, bundle] = await Promise.all([
    readTemplate('sidecar.yaml'),
    readTemplate('token.yaml'),
    readTemplate('bundle.yaml'),
  ])
  const { adminSocket, tokenSds, bundleSds } = files
  await replaceFile(files.token, credentials.token)
  await replaceFile(files.bundle, credentials.bundle)
  const tokenValues = { TOKEN_FILE: files.token, TOKEN_DIRECTORY: dirname(files.token) }
  await replaceFile(tokenSds, renderBootstrap(token, tokenValues))
  const bundleValues = { BUNDLE_FILE: files.bundle, BUNDLE_DIRECTORY: dirname(files.bundle) }
  await replaceFile(bundleSds, renderBootstrap(bundle, bundleValues))
  const values = sidecarValues({ ...sidecar, adminSocket, tokenSds, bundleSds })
  await replaceFile(files.bootstrap, renderBootstrap(template, values))
}
