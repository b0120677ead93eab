// The stock keeper: a line protocol over TCP in which the server speaks first, as in SMTP or MySQL.
import net from 'node:net'

const server = net.createServer((socket) => {
  socket.setEncoding('utf8').on('error', () => socket.destroy())
  socket.write('STOCK 1.0\r\n')
  socket.on('data', (line: string) => {
    const id = /^COUNT ([0-9]+)\r\n$/.exec(line)?.[1]
    socket.write(id === undefined ? 'ERROR\r\n' : `${(Number(id) * 7) % 50}\r\n`)
  })
})

server.listen(Number(process.env['PORT']), process.env['HOST'])
process.on('SIGTERM', () => process.exit(0))
