import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmod, chown, mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { writeAtomically } from '../../src/identity/atomic-file.ts'
import { StateDirError, type StateDirProblem } from '../../src/identity/state-dir-error.ts'
import { StateDir } from '../../src/identity/state-dir.ts'
import { withFolder } from './world.ts'

const modeOf = async (path: string): Promise<string> => ((await stat(path)).mode & 0o7777).toString(8)

const locked = { lock: true, random: randomBytes }

async function problemOf(path: string, options = locked): Promise<{ code: StateDirProblem; message: string }> {
  try {
    await (await StateDir.open(path, options))[Symbol.asyncDispose]()
  } catch (error) {
    if (error instanceof StateDirError) return { code: error.code, message: error.message }
    throw error
  }
  throw new Error('the directory was accepted')
}

describe('a state directory', () => {
  it('is made with its parents, for its owner alone, whatever the umask', async () => {
    await withFolder(async (folder) => {
      const umask = process.umask(0)
      try {
        await using open = await StateDir.open(join(folder, 'a/b'), locked)
        await open.write('c/d', 'text')
        expect(await modeOf(open.path())).toBe('700')
        expect(await modeOf(open.path('c'))).toBe('700')
        expect(await modeOf(open.path('c/d'))).toBe('600')
        expect(await modeOf(open.path('lock.pid'))).toBe('600')
      } finally {
        process.umask(umask)
      }
    })
  })

  it.each([0o755, 0o750, 0o701, 0o777])('is refused with mode %o', async (mode) => {
    await withFolder(async (folder) => {
      await chmod(folder, mode)
      const { code, message } = await problemOf(folder)
      expect(code).toBe('too-open')
      expect(message).toContain(`its mode 0${mode.toString(8)} lets other users in: \`chmod 0700 ${folder}\``)
      await chmod(folder, 0o700)
      await using open = await StateDir.open(folder, locked)
      expect(await open.list()).toContain('lock')
    })
  })

  it("is refused if it is another user's", async () => {
    await withFolder(async (folder) => {
      // root gives a folder away; anybody else has one of root's
      const isRoot = process.geteuid?.() === 0
      if (isRoot) await chown(folder, 65_534, 65_534)
      const { code, message } = await problemOf(isRoot ? folder : '/')
      expect(code).toBe('not-owned')
      expect(message).toMatch(/belongs to user \d+, but this process runs as user \d+: .*--state-dir/)
    })
  })

  it('is refused if it is a file, or below one', async () => {
    await withFolder(async (folder) => {
      await writeFile(join(folder, 'file'), '')
      expect((await problemOf(join(folder, 'file'))).code).toBe('not-a-directory')
      expect((await problemOf(join(folder, 'file/below'))).code).toBe('not-a-directory')
    })
  })

  it('may be a link to one', async () => {
    await withFolder(async (folder) => {
      await mkdir(join(folder, 'real'), { mode: 0o700 })
      await symlink('real', join(folder, 'link'))
      await using open = await StateDir.open(join(folder, 'link'), locked)
      expect(open.path()).toBe(join(folder, 'real'))
      expect((await problemOf(join(folder, 'real'))).code).toBe('in-use')
    })
  })

  it('holds files, in folders if need be', async () => {
    await withFolder(async (folder) => {
      await using open = await StateDir.open(folder, locked)
      expect(await open.read('a')).toBeUndefined()
      expect(await open.list('nothing')).toEqual([])
      await open.write('b/2', 'two')
      await open.write('b/1', Buffer.from('one'))
      await open.write('b/1', 'uno', 0o640)
      expect(await open.read('b/1')).toBe('uno')
      expect(await modeOf(open.path('b/1'))).toBe('640')
      expect(await open.list('b')).toEqual(['1', '2'])
      await open.remove('b/1')
      await open.remove('b/1')
      expect(await open.list('b')).toEqual(['2'])
      await open.remove('b')
      expect(await open.list()).toEqual(['lock', 'lock.pid'])
    })
  })

  it.each(['../out', '/etc/passwd', 'a/../../b'])('has nothing outside of it: %s', async (name) => {
    await withFolder(async (folder) => {
      await using open = await StateDir.open(join(folder, 'state'), locked)
      expect(() => open.path(name)).toThrow(RangeError)
      await expect(open.read(name)).rejects.toThrow('not inside the state directory')
      await expect(open.write(name, '')).rejects.toThrow('not inside the state directory')
      await expect(open.remove(name)).rejects.toThrow('not inside the state directory')
    })
  })

  it('is not removed itself', async () => {
    await withFolder(async (folder) => {
      await using open = await StateDir.open(folder, locked)
      await expect(open.remove('')).rejects.toThrow(RangeError)
      await expect(open.remove('a/..')).rejects.toThrow(RangeError)
    })
  })

  it('drops what a crash left half-written', async () => {
    await withFolder(async (folder) => {
      await mkdir(join(folder, 'tokens'), { mode: 0o700 })
      await writeFile(join(folder, '.ca.json.0123456789ab.tmp'), 'half')
      await writeFile(join(folder, 'tokens/.a.0123456789ab.tmp'), 'half')
      await using beside = await StateDir.open(folder, { ...locked, lock: false })
      expect(await readFile(join(folder, '.ca.json.0123456789ab.tmp'), 'utf8')).toBe('half')
      expect(await beside.list()).toEqual(['tokens'])
      await using open = await StateDir.open(folder, locked)
      await expect(stat(open.path('.ca.json.0123456789ab.tmp'))).rejects.toThrow('ENOENT')
      await expect(stat(open.path('tokens/.a.0123456789ab.tmp'))).rejects.toThrow('ENOENT')
    })
  })
})

describe('a file is replaced as a whole', () => {
  it('readers see the old content or the new one', async () => {
    await withFolder(async (folder) => {
      const path = join(folder, 'file')
      const contents = ['a', 'b'].map((letter) => letter.repeat(1_000_000))
      await writeFile(path, contents[0] ?? '')
      const reads = { done: false }
      const writing = (async () => {
        for (let i = 0; i < 20; i++) {
          await writeAtomically(path, contents[i % 2] ?? '', { mode: 0o600, random: randomBytes })
        }
        reads.done = true
      })()
      while (!reads.done) expect(contents.includes(await readFile(path, 'utf8'))).toBe(true)
      await writing
    })
  })

  it('and stays as it was if that fails', async () => {
    await withFolder(async (folder) => {
      await mkdir(join(folder, 'target'))
      await writeFile(join(folder, 'target/inside'), '')
      const write = writeAtomically(join(folder, 'target'), 'text', { mode: 0o600, random: randomBytes })
      await expect(write).rejects.toThrow(/EISDIR|ENOTEMPTY|EEXIST/)
      await using open = await StateDir.open(folder, locked)
      expect((await open.list()).filter((name) => name.includes('target'))).toEqual(['target'])
    })
  })
})

describe('the lock', () => {
  it('keeps a second process out, and names the first', async () => {
    await withFolder(async (folder) => {
      const first = await StateDir.open(folder, locked)
      const { code, message } = await problemOf(folder)
      expect(code).toBe('in-use')
      expect(message).toContain(`in use by another control plane (process ${process.pid}): stop that one first`)
      await using beside = await StateDir.open(folder, { ...locked, lock: false })
      expect(await beside.list()).toEqual(['lock', 'lock.pid'])
      await first[Symbol.asyncDispose]()
      await using second = await StateDir.open(folder, locked)
      expect(second.path()).toBe(folder)
    })
  })

  it('ends with its process, however that ends', async () => {
    await withFolder(async (folder) => {
      const module = fileURLToPath(new URL('../../src/identity/state-dir.ts', import.meta.url))
      const script = `
        const { StateDir } = await import(${JSON.stringify(module)})
        const { randomBytes } = await import('node:crypto')
        await StateDir.open(${JSON.stringify(folder)}, { lock: true, random: randomBytes })
        console.log('locked')
        setInterval(() => {}, 1000)`
      const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      try {
        await once(child.stdout, 'data')
        expect((await problemOf(folder)).message).toContain(`(process ${child.pid})`)
      } finally {
        child.kill('SIGKILL')
        await once(child, 'exit')
      }
      // of many that find it left over, exactly one has it
      const attempts = await Promise.allSettled(Array.from({ length: 8 }, () => StateDir.open(folder, locked)))
      const held = attempts.filter((attempt) => attempt.status === 'fulfilled')
      expect(held).toHaveLength(1)
      for (const { value } of held) {
        expect((await value.list()).filter((name) => name.startsWith('lock'))).toEqual(['lock', 'lock.pid'])
        await value[Symbol.asyncDispose]()
      }
    })
  })

  it('takes the place of whatever nobody listens on', async () => {
    await withFolder(async (folder) => {
      await writeFile(join(folder, 'lock'), '')
      await using open = await StateDir.open(folder, locked)
      expect(await open.list()).toEqual(['lock', 'lock.pid'])
      expect((await problemOf(folder)).code).toBe('in-use')
    })
  })

  it('works on Linux in a folder whose path is too long for a socket; elsewhere it says so', async () => {
    await withFolder(async (folder) => {
      const long = join(folder, 'x'.repeat(120))
      const isLinux = process.platform === 'linux'
      const outcome = async (): Promise<string> => {
        try {
          const first = await StateDir.open(long, locked)
          const { code } = await problemOf(long)
          await first[Symbol.asyncDispose]()
          await using second = await StateDir.open(long, locked)
          return `${code}, then ${(await second.list()).join(' ')}`
        } catch (error) {
          return error instanceof StateDirError ? error.code : String(error)
        }
      }
      expect(await outcome()).toBe(isLinux ? 'in-use, then lock lock.pid' : 'cannot-lock')
    })
  })
})
