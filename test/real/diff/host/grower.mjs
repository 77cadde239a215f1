// Takes memory and pins data in a socket that nobody reads, when it is told to: a number of bytes for each, on a line.
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';

const kept = [];
const accepted = [];
const server = createServer({ pauseOnConnect: true }, (socket) => accepted.push(socket));
server.listen(0, '127.0.0.1', () => {
  const client = connect(server.address().port, '127.0.0.1', () => {
    console.log(JSON.stringify({ port: server.address().port }));
    createInterface({ input: process.stdin }).on('line', (line) => {
      const [memory, data] = line.split(' ').map(Number);
      kept.push(Buffer.alloc(memory, 1));
      client.write(Buffer.alloc(data, 2));
      console.log(JSON.stringify({ taken: memory }));
    });
  });
});
