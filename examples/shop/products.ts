// What there is to buy. How many are left it asks the stock keeper, over plain TCP.
import net from 'node:net'
import { caller, json, serve } from './http.ts'

const [STOCK_HOST = '', STOCK_PORT = ''] = (process.env['UPSTREAM_STOCK'] ?? 'stock:7000').split(':')

/** The stock keeper greets first, then answers `COUNT id` with a number. */
function countOf(id: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect(Number(STOCK_PORT), STOCK_HOST)
    let heard = ''
    socket.setEncoding('utf8').setTimeout(5000, () => socket.destroy(new Error('stock did not answer')))
    socket.on('data', (part: string) => {
      heard += part
      const [greeting, count] = heard.split('\r\n')
      if (heard.endsWith('\r\n') && count === '' && greeting !== undefined) socket.write(`COUNT ${id}\r\n`)
      else if (count !== undefined && count !== '') socket.end(() => resolve(count))
    })
    socket.on('error', () => resolve('unknown'))
    socket.on('end', () => resolve('unknown'))
  })
}

serve(async (request, response) => {
  const id = request.url?.slice(1) ?? ''
  json(response, 200, { service: 'products', caller: caller(request), name: `Blanket ${id}`, stock: await countOf(id) })
})
