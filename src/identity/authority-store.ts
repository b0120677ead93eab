// Where the certificate authority's state is kept between runs, and how it is written down.
//
// A store knows text and revisions only. Saving names the revision that the change was made from, so that of several
// replicas that step at once one wins and the others load what it saved.

import { createHash, createPrivateKey } from 'node:crypto'
import * as z from 'zod'
import type { CaState, RootState } from './ca-state.ts'
import type { StateDir } from './state-dir.ts'
import { readCertificate, type Certificate, type SigningCertificate } from './x509.ts'

export interface Stored {
  /** Holds private keys: never to be printed. */
  readonly text: string
  readonly revision: string
}

export interface AuthorityStore {
  /** For messages: where this is, as `the file /var/lib/heddle/ca.json`. */
  readonly description: string
  load(): Promise<Stored | undefined>
  /**
   * Replaces what is stored if its revision is still `from` (undefined: if there is nothing yet), durably and at once.
   * The new revision, or undefined if somebody else was faster.
   */
  save(text: string, from: string | undefined): Promise<string | undefined>
  /** Tells when another replica may have saved. */
  watch?(changed: () => void): Disposable
}

const FILE = 'ca.json'

/** Keeps the state in one file of the state directory. The directory's lock keeps other processes away. */
export function fileAuthorityStore(stateDir: StateDir): AuthorityStore {
  const load = async (): Promise<Stored | undefined> => {
    const text = await stateDir.read(FILE)
    return text === undefined ? undefined : { text, revision: revisionOf(text) }
  }
  return {
    description: `the file ${stateDir.path(FILE)}`,
    load,
    save: async (text, from) => {
      if ((await load())?.revision !== from) return undefined
      await stateDir.write(FILE, text)
      return revisionOf(text)
    },
  }
}

function revisionOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

const certificate = z.object({ certificate: z.string() })
const signingCertificate = certificate.extend({ privateKey: z.string() })

const schema = z.object({
  version: z.literal(1),
  trustDomain: z.string(),
  roots: z.discriminatedUnion('phase', [
    z.object({ phase: z.literal('steady'), active: signingCertificate }),
    z.object({
      phase: z.literal('introducing'),
      active: signingCertificate,
      next: signingCertificate,
      promoteAt: z.number(),
    }),
    z.object({ phase: z.literal('retiring'), active: signingCertificate, previous: certificate, dropAt: z.number() }),
  ]),
  issuer: signingCertificate,
})

type Written = z.infer<typeof schema>

/** JSON with PEM inside; certificates and private keys, PKCS #8. */
export function serializeState({ trustDomain, roots, issuer }: CaState): string {
  const written: Written = { version: 1, trustDomain, roots: writeRoots(roots), issuer: writeSigning(issuer) }
  return `${JSON.stringify(written, undefined, 2)}\n`
}

export type ParsedState =
  | { readonly ok: true; readonly state: CaState }
  | { readonly ok: false; readonly reason: string }

export function parseState(text: string): ParsedState {
  try {
    const read = schema.safeParse(JSON.parse(text))
    if (!read.success) return { ok: false, reason: z.prettifyError(read.error) }
    const { trustDomain, roots, issuer } = read.data
    return { ok: true, state: { trustDomain, roots: readRoots(roots), issuer: readSigning(issuer) } }
  } catch (error) {
    // only the kind of error: what a parser quotes of its input could be part of a key
    return { ok: false, reason: error instanceof SyntaxError ? 'it is not JSON' : 'a certificate or key is damaged' }
  }
}

function writeRoots(roots: RootState): Written['roots'] {
  switch (roots.phase) {
    case 'steady':
      return { phase: 'steady', active: writeSigning(roots.active) }
    case 'introducing':
      return {
        phase: 'introducing',
        active: writeSigning(roots.active),
        next: writeSigning(roots.next),
        promoteAt: roots.promoteAt,
      }
    case 'retiring':
      return {
        phase: 'retiring',
        active: writeSigning(roots.active),
        previous: { certificate: roots.previous.pem },
        dropAt: roots.dropAt,
      }
  }
}

function readRoots(roots: Written['roots']): RootState {
  switch (roots.phase) {
    case 'steady':
      return { phase: 'steady', active: readSigning(roots.active) }
    case 'introducing':
      return {
        phase: 'introducing',
        active: readSigning(roots.active),
        next: readSigning(roots.next),
        promoteAt: roots.promoteAt,
      }
    case 'retiring':
      return {
        phase: 'retiring',
        active: readSigning(roots.active),
        previous: readOne(roots.previous),
        dropAt: roots.dropAt,
      }
  }
}

function writeSigning({ pem, privateKey }: SigningCertificate): z.infer<typeof signingCertificate> {
  return { certificate: pem, privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
}

function readSigning(written: z.infer<typeof signingCertificate>): SigningCertificate {
  return { ...readOne(written), privateKey: createPrivateKey(written.privateKey) }
}

function readOne(written: z.infer<typeof certificate>): Certificate {
  return readCertificate(written.certificate)
}
