/** A run that is about to be killed: places, with processes in them that have processes of their own. Prints what it made. */
import { loopbackIsolation } from '../../src/standalone/isolation/loopback.ts'
import { NetnsIsolation } from '../../src/standalone/isolation/netns.ts'
import { diesWithParent, ProcessGroup } from '../../src/standalone/processes.ts'
import { RUN_VARIABLE, RunDirectory } from '../../src/standalone/run-directory.ts'
import { envoyBinary } from './envoy.ts'

const run = await RunDirectory.create()
const isolation =
  process.argv[2] === 'netns'
    ? await NetnsIsolation.create({ run, envoy: await envoyBinary() })
    : loopbackIsolation(await diesWithParent())
const place = await isolation.place({
  namespace: 'shop',
  name: 'web',
  addresses: [isolation.kind === 'netns' ? '10.244.0.1' : '127.79.0.1'],
})
const command = place.command('app', ['sh', '-c', 'sleep 1000 & echo $!; wait'])
const group = await ProcessGroup.start(command, { output: 'pipe', env: { ...process.env, [RUN_VARIABLE]: run.name } })
group.child.stdout?.once('data', (child: Buffer) => {
  process.stdout.write(`${JSON.stringify({ run: run.name, path: run.path, pids: [group.pid, Number(child)] })}\n`)
})
