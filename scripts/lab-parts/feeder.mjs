// Sends to a guest from this machine, over 127.0.0.1 and QEMU's user network, in small segments.
import { createSocket } from 'node:dgram';
import { createConnection } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Sends `count` messages of `size` bytes on one new TCP connection, `burst` of them at a time with a
 * millisecond in between: QEMU's network makes about one segment of what it finds. The connection
 * stays open.
 *
 * @param {number} port of 127.0.0.1
 * @param {{ count: number, size: number, burst: number }} messages
 * @returns {Promise<import('node:net').Socket>}
 */
export async function feedTcp(port, { count, size, burst }) {
  const socket = await connectTo(port);
  const message = Buffer.alloc(size, 'f');
  for (let i = 0; i < count; i++) {
    socket.write(message);
    if (i % burst === burst - 1) await sleep(1);
  }
  return socket;
}

/** @param {number} port of 127.0.0.1 @returns {Promise<import('node:net').Socket>} */
export async function connectTo(port) {
  const socket = createConnection({ host: '127.0.0.1', port, noDelay: true });
  await new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  // The guest is killed in the end: no news.
  socket.on('error', () => {});
  return socket;
}

/**
 * Sends `count` datagrams of `size` bytes.
 *
 * @param {number} port of 127.0.0.1
 * @param {{ count: number, size: number }} messages
 */
export async function feedUdp(port, { count, size }) {
  const socket = createSocket('udp4');
  const message = Buffer.alloc(size, 'u');
  for (let i = 0; i < count; i++) {
    await new Promise((resolve, reject) => {
      socket.send(message, port, '127.0.0.1', (error) => (error ? reject(error) : resolve(undefined)));
    });
    await sleep(1);
  }
  socket.close();
}
