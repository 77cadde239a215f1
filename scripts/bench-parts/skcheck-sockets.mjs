// Holds TCP connections over loopback for the benchmark: PAIRS pairs in this process, both ends.
// Every UNREAD-th pair has unread data. Prints "ready" and waits until its stdin ends.
// The sockets belong to several processes, because each may hold only a limited number of descriptors.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

const [pairs = 0, unread = 0, address = '127.0.0.1'] = process.argv
  .slice(2)
  .map((text) => (/^\d+$/.test(text) ? Number(text) : text));
const kept = [];
const server = createServer({ pauseOnConnect: true }, (socket) => kept.push(socket));
server.listen(0, address, 4096);
await once(server, 'listening');
const { port } = server.address();
const AT_ONCE = 200;
for (let done = 0; done < pairs; done += AT_ONCE) {
  const batch = Array.from({ length: Math.min(AT_ONCE, pairs - done) }, (_, index) =>
    open(unread > 0 && (done + index) % unread === 0),
  );
  await Promise.all(batch);
}
while (kept.length < 2 * pairs) await new Promise((resolve) => setTimeout(resolve, 20));
process.stdout.write('ready\n');
process.stdin.resume();
process.stdin.on('end', () => process.exit());

async function open(withData) {
  const socket = connect({ port, host: address });
  await once(socket, 'connect');
  kept.push(socket);
  if (withData) socket.write(Buffer.alloc(3000, 'x'));
}
