/**
 * Isolation as in a pod, for root on Linux: each workload has a network namespace, its proxy a user of its own, and packet
 * filter rules bring all TCP to the proxy. A hub namespace routes between them; it has no way out, and nothing outside of
 * these namespaces is touched. All are named after this process, so that the next run can remove what a killed one left.
 */
import { existsSync } from 'node:fs'
import { chown, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { INBOUND_SOURCE } from '../../envoy/names.ts'
import { PROXY_UID, renderInterception, type Family, type InterceptionOptions } from '../interception.ts'
import { type Command, run } from '../processes.ts'
import { isLeftover, type RunDirectory } from '../run-directory.ts'
import { HostsFiles } from './hosts-files.ts'
import type { HostEntry, Isolation, Place, PlacedWorkload, Role } from './isolation.ts'

/** The hub as every workload's gateway: link-local, so that it never collides with the mesh's addresses. */
const GATEWAY: Readonly<Record<Family, string>> = { ipv4: '169.254.1.1', ipv6: 'fe80::1' }
const NETNS_FOLDER = '/run/netns'

/**
 * Mounts over /etc/hosts and /etc/resolv.conf, and the Envoy binary to where the proxy's user can reach it, whatever private
 * folder it was installed in; then becomes the command. The mounts are seen by that command alone.
 */
const ENTER = [
  'mount --bind "$1" /etc/hosts',
  '[ ! -e /etc/resolv.conf ] || mount --bind "$2" /etc/resolv.conf',
  'mount --bind "$3" "$4"',
  'shift 4',
  'exec "$@"',
].join('; ')

export interface NetnsOptions {
  readonly run: RunDirectory
  /** Path of the Envoy binary. */
  readonly envoy: string
  /** User that applications run as; this process's own if not given. */
  readonly appUser?: { readonly uid: number; readonly gid: number }
  readonly interception?: InterceptionOptions
}

const PROGRAMS = ['ip', 'nsenter', 'unshare', 'setpriv', 'mount', 'sysctl', 'iptables-restore', 'ip6tables-restore']

/** What network namespaces need and this machine does not have: empty if they can be used. */
export async function missingForNetns(): Promise<readonly string[]> {
  const found = await Promise.all(
    PROGRAMS.map((program) =>
      run({ file: 'sh', args: ['-c', `command -v ${program}`] }).then(
        () => true,
        () => false,
      ),
    ),
  )
  return [...(process.getuid?.() === 0 ? [] : ['root']), ...PROGRAMS.filter((_, index) => found[index] !== true)]
}

const familyOf = (address: string): Family => (address.includes(':') ? 'ipv6' : 'ipv4')
const prefixed = (address: string): string => `${address}/${familyOf(address) === 'ipv4' ? 32 : 128}`
const pathOf = (namespace: string): string => join(NETNS_FOLDER, namespace)
const within = (namespace: string, ...argv: readonly string[]): Command => ({
  file: 'nsenter',
  args: [`--net=${pathOf(namespace)}`, '--', ...argv],
})
/** Many `ip` commands in one namespace, by one process. */
const ip = (namespace: string, lines: readonly string[]): Promise<string> =>
  run({ file: 'ip', args: ['-n', namespace, '-batch', '-'] }, `${lines.join('\n')}\n`)

/** Ends what still runs in a namespace and removes it. */
async function removeNamespace(namespace: string): Promise<void> {
  const pids = await run({ file: 'ip', args: ['netns', 'pids', namespace] }).catch(() => '')
  for (const pid of pids.split('\n').filter((line) => line !== '')) {
    try {
      process.kill(Number(pid), 'SIGKILL')
    } catch {
      // gone already
    }
  }
  await run({ file: 'ip', args: ['netns', 'delete', namespace] })
}

/** Removes the namespaces that runs left which are no more. */
export async function removeLeftoverNamespaces(): Promise<void> {
  const names = await readdir(NETNS_FOLDER).catch(() => [])
  await Promise.all(names.filter(isLeftover).map((name) => removeNamespace(name).catch(() => undefined)))
}

/** A cable from the hub to a namespace, with a route at either end. No bridge: addresses need not share a prefix. */
async function connect(hub: string, namespace: string, port: string, addresses: readonly string[]): Promise<void> {
  const has = (family: Family) => addresses.some((address) => familyOf(address) === family)
  await run(within(namespace, 'sysctl', '-qw', ...WORKLOAD_SYSCTLS, ...(hasIpv6() ? IPV6_SYSCTLS : [])))
  await ip(hub, [`link add ${port} type veth peer name eth0 netns ${namespace}`, `link set ${port} up`])
  await ip(namespace, [
    'link set lo up',
    ...(hasIpv6() ? [`address add ${INBOUND_SOURCE.ipv6}/128 dev lo nodad`] : []),
    'link set eth0 up',
    ...addresses.map((address) => `address add ${prefixed(address)} dev eth0${address.includes(':') ? ' nodad' : ''}`),
    ...(has('ipv4') ? [`route add default via ${GATEWAY.ipv4} dev eth0 onlink`] : []),
    ...(has('ipv6') ? [`route add ::/0 via ${GATEWAY.ipv6} dev eth0`] : []),
  ])
  await ip(hub, [
    ...(has('ipv6') ? [`address add ${GATEWAY.ipv6}/64 dev ${port} nodad`] : []),
    ...addresses.map((address) => `route add ${prefixed(address)} dev ${port}`),
  ])
}

const hasIpv6 = (): boolean => existsSync('/proc/net/if_inet6')
/** In its own network an application may listen on port 80, whoever it runs as. */
const WORKLOAD_SYSCTLS = ['net.ipv4.ip_unprivileged_port_start=0', 'net.ipv4.conf.all.rp_filter=0']
/** An address is usable at once: nobody else can have it. */
const IPV6_SYSCTLS = ['net.ipv6.conf.all.accept_dad=0', 'net.ipv6.conf.default.accept_dad=0']
const HUB_SYSCTLS = ['net.ipv4.ip_forward=1', 'net.ipv4.conf.all.rp_filter=0', 'net.ipv4.conf.default.rp_filter=0']

async function intercept(namespace: string, options: InterceptionOptions | undefined): Promise<void> {
  const load = (program: string, family: Family) =>
    run(within(namespace, program, '--noflush', '--wait', '5'), renderInterception(family, options))
  await load('iptables-restore', 'ipv4')
  if (hasIpv6()) await load('ip6tables-restore', 'ipv6')
}

async function giveTo(path: string, owner: number): Promise<void> {
  await chown(path, owner, owner)
  if (!(await stat(path)).isDirectory()) return
  for (const entry of await readdir(path, { recursive: true })) await chown(join(path, entry), owner, owner)
}

export class NetnsIsolation implements Isolation {
  readonly kind = 'netns'
  readonly intercepts = true
  readonly #options: NetnsOptions
  readonly #hub: string
  readonly #hosts: HostsFiles
  readonly #places = new Set<Place>()
  #count = 0

  private constructor(options: NetnsOptions) {
    this.#options = options
    this.#hub = `${options.run.name}.hub`
    this.#hosts = new HostsFiles(join(options.run.path, 'hosts'))
  }

  /** Makes the hub. Rejects with what is missing where that cannot work. */
  static async create(options: NetnsOptions): Promise<NetnsIsolation> {
    const missing = await missingForNetns()
    if (missing.length > 0) {
      throw new Error(`--isolation=netns needs ${missing.join(', ')}; --isolation=loopback works without.`)
    }
    await removeLeftoverNamespaces()
    const isolation = new NetnsIsolation(options)
    // there is no name server: say so at once instead of waiting for the machine's own
    await writeFile(isolation.#resolv, 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n', { mode: 0o644 })
    await writeFile(isolation.#binary, '', { mode: 0o755 })
    const hub = isolation.#hub
    await run({ file: 'ip', args: ['netns', 'add', hub] })
    const ipv6 = hasIpv6() ? [...IPV6_SYSCTLS, 'net.ipv6.conf.all.forwarding=1'] : []
    await run(within(hub, 'sysctl', '-qw', ...HUB_SYSCTLS, ...ipv6))
    await ip(hub, ['link set lo up', `address add ${GATEWAY.ipv4}/32 dev lo`])
    return isolation
  }

  get #resolv(): string {
    return join(this.#options.run.path, 'resolv.conf')
  }

  /** Where the Envoy binary is mounted. */
  get #binary(): string {
    return join(this.#options.run.path, 'envoy')
  }

  async place(workload: PlacedWorkload): Promise<Place> {
    const number = (this.#count += 1)
    const namespace = `${this.#options.run.name}.${number}`
    const hosts = { app: await this.#hosts.forApplications(workload.namespace), proxy: await this.#hosts.forProxies() }
    await run({ file: 'ip', args: ['netns', 'add', namespace] })
    try {
      await connect(this.#hub, namespace, `w${number}`, workload.addresses)
      if (workload.intercept ?? true) await intercept(namespace, this.#options.interception)
    } catch (error) {
      await removeNamespace(namespace).catch(() => undefined)
      throw error
    }
    const place: Place = {
      addresses: workload.addresses,
      host: workload.addresses.some((address) => familyOf(address) === 'ipv6') ? '::' : '0.0.0.0',
      probeAddress: hasIpv6() ? '::' : '0.0.0.0',
      probeHost: '127.0.0.1',
      command: (role, argv) => this.#enter(namespace, hosts[role], role, argv),
      handOver: (path) => giveTo(path, PROXY_UID),
      [Symbol.asyncDispose]: async () => {
        // the cable's other end in the hub, and its routes with it, goes when the namespace does
        if (this.#places.delete(place)) await removeNamespace(namespace)
      },
    }
    this.#places.add(place)
    return place
  }

  setHosts(hosts: readonly HostEntry[]): Promise<void> {
    return this.#hosts.set(hosts)
  }

  setOutsideHosts(hosts: readonly HostEntry[]): Promise<void> {
    return this.#hosts.setOutside(hosts)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([...this.#places].map((place) => place[Symbol.asyncDispose]()))
    await removeNamespace(this.#hub)
  }

  /** `nsenter` and not `ip netns exec`: that one mounts another /sys. */
  #enter(namespace: string, hosts: string, role: Role, argv: readonly string[]): Command {
    const { envoy, appUser } = this.#options
    const user = role === 'proxy' ? { uid: PROXY_UID, gid: PROXY_UID } : appUser
    const switchUser =
      user === undefined ? [] : [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups', '--no-new-privs']
    const mounting = ['unshare', '--mount', '--propagation', 'private', '--', 'sh', '-ec', ENTER, 'heddle']
    const switching = ['setpriv', ...switchUser, '--pdeathsig', 'KILL', '--']
    const [program = '', ...args] = argv
    const reachable = role === 'proxy' && program === envoy ? this.#binary : program
    const mounts = [hosts, this.#resolv, envoy, this.#binary]
    return within(namespace, ...mounting, ...mounts, ...switching, reachable, ...args)
  }
}
