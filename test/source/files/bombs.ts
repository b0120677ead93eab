/** Small texts that become enormous when their aliases are written out. */

const names = 'abcdefghi'.split('')

/** Nine lists, each of nine times the one before: some 400 million values. */
export const aliasBomb = (): string =>
  bomb('&a [x,x,x,x,x,x,x,x,x]', (before) => `[${Array.from({ length: 9 }, () => `*${before}`).join(',')}]`)

/** The same of maps. */
export const mergeBomb = (): string =>
  bomb(
    '&a {x: 1}',
    (before) => `{${['p', 'q', 'r', 's', 't', 'u', 'v'].map((key) => `${key}: *${before}`).join(', ')}}`,
  )

function bomb(first: string, next: (before: string) => string): string {
  const lines = names.map((name, at) =>
    at === 0 ? `${name}: ${first}` : `${name}: &${name} ${next(names[at - 1] ?? '')}`,
  )
  return `${lines.join('\n')}\n`
}
