// A process that does one thing with sockets, told by its arguments; it reports over IPC as soon as
// it stands, and ends when the channel closes. Plain JavaScript: it is run, not imported.
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';

const [role, ...rest] = process.argv.slice(2);
const options = JSON.parse(rest[0] ?? '{}');
if (options.comm !== undefined) writeFileSync('/proc/self/comm', options.comm);
process.on('disconnect', () => process.exit());
const report = (message) => process.send(message);
const ignore = () => undefined;

/** Writes for ever, as fast as the other end takes it. */
function pumpInto(socket) {
  const chunk = Buffer.alloc(16_384, 'x');
  const pump = () => {
    while (socket.write(chunk));
  };
  socket.on('drain', pump);
  pump();
}

/** What a server does with each connection. */
const READERS = {
  never: ignore,
  healthy: (socket) => socket.resume(),
  // About 64 KiB (one read of libuv's) each 200 ms, from a queue that is always full.
  slow: (socket) => void setInterval(() => socket.read(), 200),
};

if (role === 'server') {
  let children = 0;
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    report({ accepted: true });
    socket.on('error', ignore);
    READERS[options.reads](socket);
    if (options.writes) pumpInto(socket);
    // Busy for ever with something else, once the message above is on its way.
    if (options.spins)
      setTimeout(() => {
        for (;;);
      }, 100);
    if (options.share && children++ === 0) {
      const child = spawn('sleep', ['600'], { stdio: ['ignore', 'ignore', 'ignore', socket, socket] });
      child.on('spawn', () => report({ child: child.pid }));
    }
  });
  server.listen(options.path ?? { host: options.host ?? '127.0.0.1', port: 0, backlog: options.backlog }, () =>
    report({ ready: true, port: options.path ? 0 : server.address().port }),
  );
} else if (role === 'udp') {
  const socket = createSocket('udp4');
  socket.on('message', ignore);
  socket.bind(0, '127.0.0.1', () => report({ ready: true, port: socket.address().port }));
} else if (role === 'client') {
  const socket = connect(options.path ?? { host: options.host ?? '127.0.0.1', port: options.port });
  socket.on('error', ignore);
  const chunk = Buffer.alloc(options.chunk ?? 16_384, 'x');
  const pump = () => {
    while (socket.write(chunk));
  };
  socket.on('connect', () => {
    if (options.bytes === undefined) {
      socket.on('drain', pump);
      pump();
      report({ ready: true });
    } else if (options.bytes === 0) report({ ready: true });
    else socket.write(Buffer.alloc(options.bytes, 'x'), () => report({ ready: true }));
  });
  // A connection that a full backlog leaves hanging is what some tests want.
  if (options.hangs) report({ ready: true });
} else if (role === 'leaker') {
  // Opens a file and forgets it, again and again.
  const { openSync } = await import('node:fs');
  setInterval(() => {
    for (let count = 0; count < 20; count++) openSync('/dev/null', 'r');
  }, 200);
  report({ ready: true });
} else if (role === 'datagrams') {
  const socket = createSocket('udp4');
  const send = (done) => socket.send('datagram', options.port, '127.0.0.1', done);
  let sent = 0;
  for (let index = 0; index < options.count; index++)
    send(() => {
      if (++sent === options.count) report({ ready: true });
    });
  // Bursts that a reader finds in its queue, and takes.
  if (options.bursts) setInterval(() => Array.from({ length: 50 }, () => send(ignore)), 5);
}
