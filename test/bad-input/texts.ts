/** Files that are wrong as YAML, or hold documents that are no objects. Each is made from a file that was good. */
import { aliasBomb, mergeBomb } from '../source/files/bombs.ts'

export interface TextCase {
  /** What is wrong, and the name of the file. */
  readonly name: string
  /** The bad file, made from the good one, whose second document is the Service of the case's name. */
  readonly content: (good: string) => string | Uint8Array
  /** The line that the error points at: its number, or what it contains. */
  readonly line: number | string
  readonly says: RegExp
  /** Whether the error can name the object. */
  readonly named: boolean
  /** Whether the other document of the file can be read from the start. */
  readonly beside: boolean
}

type Row = readonly [name: string, content: TextCase['content'], line: number | string, says: RegExp]

const all = (named: boolean, beside: boolean, ...rows: readonly Row[]): TextCase[] =>
  rows.map(([name, content, line, says]) => ({ name, content, line, says, named, beside }))

/** The good file with something replaced in its second document. */
const replaced =
  (from: string, to: string): TextCase['content'] =>
  (good) => {
    const start = good.indexOf('---')
    if (!good.includes(from, start)) throw new Error(`nothing to replace: ${from}`)
    return good.slice(0, start) + good.slice(start).replace(from, () => to)
  }
const appended =
  (text: string): TextCase['content'] =>
  (good) =>
    good + text
const megabytes = (count: number, line: string): string => line.repeat(Math.ceil((count * 2 ** 20) / line.length))

export const textCases: readonly TextCase[] = [
  // the document is broken, and still says which object it is
  ...all(
    true,
    true,
    ['tab-as-indentation', replaced('  type:', '\ttype:'), '\ttype:', /Tabs are not allowed.*indent with spaces/],
    ['quote-not-closed', replaced('app: cart', 'app: "cart'), 'app: ', /Missing closing "quote/],
    ['single-quote-not-closed', replaced('app: cart', "app: 'cart"), 'app: ', /Missing closing 'quote/],
    ['map-not-closed', replaced('selector:\n    app: cart', 'selector: {app: cart'), 'selector:', /end with a }/],
    ['list-not-closed', replaced('targetPort: 8080', 'targetPort: [8080'), 'targetPort', /end with a \]/],
    ['line-without-a-colon', replaced('  type: ClusterIP', '  type ClusterIP'), 'type ClusterIP', /is no valid YAML/],
    [
      'indentation-that-fits-no-level',
      replaced('      port: 80', '     port: 80'),
      '     port: 80',
      /is no valid YAML/,
    ],
    ['two-colons-in-a-line', replaced('app: cart', 'app: cart: v1'), 'app: cart: v1', /put the value in quotes/],
    [
      'field-twice',
      replaced('  type: ClusterIP', '  type: ClusterIP\n  type: NodePort'),
      'type: NodePort',
      /same field twice/,
    ],
    ['section-twice', appended('spec:\n  type: NodePort\n'), 'spec:\n  type: NodePort', /same field twice/],
    ['alias-of-nothing', replaced('app: cart', 'app: *nothing'), '*nothing', /alias of an anchor that is not there/],
    [
      'alias-of-itself',
      replaced('selector:\n    app: cart', 'selector: &s\n    app: *s'),
      '*s',
      /alias inside of what it stands for/,
    ],
    [
      'alias-bomb',
      appended(`bomb:\n${aliasBomb().replaceAll(/^/gm, '  ').trimEnd()}\n`),
      '  f: &f',
      /more than 200000 values/,
    ],
    [
      'merge-bomb',
      appended(`bomb:\n${mergeBomb().replaceAll(/^/gm, '  ').trimEnd()}\n`),
      '  g: &g',
      /more than 200000 values/,
    ],
    [
      'lists-nested-too-deep',
      appended(`deep: ${'['.repeat(2000)}${']'.repeat(2000)}\n`),
      'deep: [',
      /nested deeper than 64/,
    ],
    ['dashes-nested-too-deep', appended(`deep:\n  ${'- '.repeat(2000)}x\n`), '  - - -', /nested deeper than 64/],
    [
      'maps-nested-too-deep',
      appended(`deep: ${'{a: '.repeat(2000)}1${'}'.repeat(2000)}\n`),
      'deep: {',
      /nested deeper than 64/,
    ],
    ['nested-without-end', appended(`deep: ${'['.repeat(100_000)}\n`), 'deep: [', /nested deeper than 64/],
    ['too-many-values', appended(`many: [${'1,'.repeat(250_000)}]\n`), 'many: [', /more than 200000 values/],
    [
      'document-of-a-huge-text',
      appended(`huge: ${'x'.repeat(2 ** 20)}\n`),
      '---',
      /document of \d+ characters; expected at most 1048576 \(documentChars\)/,
    ],
    ['document-of-a-huge-comment', appended(`# ${'x'.repeat(2 ** 20)}\n`), '---', /document of \d+ characters/],
    [
      'byte-that-is-no-utf-8',
      (good) => latin1(good.replaceAll('app: cart', 'app: caf\xe9')),
      'app: caf',
      /got the byte 0xe9, which is no UTF-8/,
    ],
    ['nul-byte', replaced('app: cart', 'app: ca\0rt'), 'app: ca', /NUL byte/],
    ['tag-of-another-language', replaced('app: cart', 'app: !!python/object/apply:os.system [ls]'), '!!python', /tag/],
    ['binary-value', replaced('app: cart', 'app: !!binary Y2FydA=='), '!!binary', /tag/],
    ['not-a-number', replaced('port: 80\n', 'port: .nan\n'), 'port: .nan', /got NaN; expected a finite number/],
    ['infinite-number', replaced('port: 80\n', 'port: .inf\n'), 'port: .inf', /got Infinity; expected a finite number/],
    [
      'number-beyond-all-numbers',
      replaced('port: 80\n', 'port: 1e999\n'),
      'port: 1e999',
      /got Infinity; expected a finite number/,
    ],
    ['map-as-a-key', replaced('app: cart', '? {app: cart}\n    : x'), '{app: cart}', /./],
    ['merge-of-a-text', replaced('app: cart', '<<: cart'), '<<: cart', /merge of something that is no map/],
    ['escape-that-is-none', replaced('app: cart', 'app: "ca\\rt\\qq"'), 'app: "ca', /Invalid escape/],
    ['block-text-with-a-bad-header', replaced('app: cart', 'app: |cart\n      x'), 'app: |cart', /is no valid YAML/],
    [
      'conflict-of-a-merge',
      replaced('  type: ClusterIP', '<<<<<<< HEAD\n  type: ClusterIP\n=======\n  type: NodePort\n>>>>>>> other'),
      '<<<<<<< HEAD',
      /is no valid YAML/,
    ],
    ['template-that-was-not-rendered', replaced('port: 80\n', 'port: {{ .Values.port }}\n'), '{{ .Values', /./],
    [
      'cut-off-in-a-quote',
      (good) => good.slice(0, good.indexOf('app: cart', good.indexOf('---'))).concat('app: "ca'),
      'app: "ca',
      /Missing closing "quote/,
    ],
  ),
  // nobody can say which object it was
  ...all(
    false,
    true,
    ['text-instead-of-an-object', (good) => `${before(good)}hello\n`, 'hello', /got "hello"; expected an object/],
    ['number-instead-of-an-object', (good) => `${before(good)}42\n`, '42', /got 42; expected an object/],
    ['list-instead-of-an-object', (good) => `${before(good)}- a\n- b\n`, '- a', /got a list of 2; expected an object/],
    [
      'web-page',
      (good) => `${before(good)}<!DOCTYPE html>\n<html lang="en">\n`,
      '<!DOCTYPE',
      /got "<!DOCTYPE html> <html/,
    ],
    [
      'program',
      (good) => `${before(good)}#!/bin/sh\nset -e: x\n\tfor a in b; do c; done\n`,
      '\tfor',
      /is no valid YAML/,
    ],
    [
      'kind-is-missing',
      replaced('kind: Service\n', ''),
      'apiVersion: v1',
      /kind: got nothing; expected the name of a kind/,
    ],
    [
      'kind-is-a-number',
      replaced('kind: Service\n', 'kind: 7\n'),
      'kind: 7',
      /kind: got 7; expected the name of a kind/,
    ],
    [
      'version-is-missing',
      replaced('apiVersion: v1\n', ''),
      'kind: Service',
      /apiVersion: got nothing; expected a group and version/,
    ],
    [
      'version-is-a-list',
      replaced('apiVersion: v1\n', 'apiVersion: [v1]\n'),
      'apiVersion: [v1]',
      /apiVersion: got a list of 1; expected a group/,
    ],
    [
      'name-is-missing',
      replaced('  name: name-is-missing\n', ''),
      'metadata:',
      /metadata\.name: got nothing; expected a name/,
    ],
    [
      'name-is-a-number',
      replaced('  name: name-is-a-number\n', '  name: 7\n'),
      'name: 7',
      /metadata\.name: got 7; expected a name/,
    ],
    [
      'name-is-empty',
      replaced('  name: name-is-empty\n', '  name: ""\n'),
      'name: ""',
      /metadata\.name: got ""; expected a name/,
    ],
    [
      'namespace-is-a-number',
      replaced('namespace: shop', 'namespace: 7'),
      'namespace: 7',
      /metadata\.namespace: got 7; expected the name of a namespace/,
    ],
    [
      'metadata-is-missing',
      replaced('metadata:\n  name: metadata-is-missing\n  namespace: shop\n', ''),
      'apiVersion: v1',
      /metadata\.name: got nothing/,
    ],
    [
      'metadata-is-a-list',
      replaced('metadata:\n  name: metadata-is-a-list\n  namespace: shop\n', 'metadata:\n  - a\n'),
      'metadata:',
      /metadata\.name: got nothing/,
    ],
    [
      'list-of-texts',
      (good) => `${before(good)}apiVersion: v1\nkind: List\nitems:\n  - a\n`,
      '  - a',
      /got "a"; expected an object/,
    ],
    [
      'list-with-an-item-of-no-kind',
      (good) => `${before(good)}apiVersion: v1\nkind: List\nitems:\n  - metadata:\n      name: x\n`,
      '  - metadata',
      /apiVersion: got nothing/,
    ],
  ),
  // the whole file
  ...all(
    false,
    false,
    ['utf-16', (good) => Buffer.from(`\ufeff${good}`, 'utf16le'), 1, /got UTF-16 text; expected UTF-8/],
    [
      'ten-megabytes-of-objects',
      appended(megabytes(10, '---\napiVersion: v1\nkind: Service\nmetadata:\n  name: filler\n')),
      1,
      /got a file of \d+ bytes; expected at most 4194304 \(fileBytes\)\. Mend: split it/,
    ],
    ['ten-megabytes-in-one-value', appended(`huge: ${'x'.repeat(10 * 2 ** 20)}\n`), 1, /got a file of \d+ bytes/],
    ['ten-megabytes-of-comment', appended(megabytes(10, '# nothing at all\n')), 1, /got a file of \d+ bytes/],
    ['ten-megabytes-of-zeros', () => new Uint8Array(10 * 2 ** 20), 1, /got a file of \d+ bytes/],
  ),
]

/** The good file's first document, and the marker after it. */
const before = (good: string): string => good.slice(0, good.indexOf('---') + 4)
const latin1 = (text: string): Uint8Array => Buffer.from(text, 'latin1')
