/** The generated descriptors, for tests: as `Protos`, and as protobufjs' own types to hold ours against. */
import { readFileSync } from 'node:fs'
import protobuf from 'protobufjs/light.js'
import { readRoot } from '../../src/proto/descriptors.ts'
import { descriptorFile, loadProtos, type Protos } from '../../src/proto/encode.ts'

export const testProtos = (): Protos => loadProtos(readFileSync(descriptorFile))

export const testRoot = (): protobuf.Root => readRoot(readFileSync(descriptorFile))
