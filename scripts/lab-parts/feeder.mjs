// Sends to a guest from this machine, over 127.0.0.1 and QEMU's user network, in small segments.
import { createSocket } from 'node:dgram';
import { createConnection } from 'node:net';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';

/**
 * Sends `count` messages of `size` bytes on one new TCP connection, each as a segment of its own as
 * far as QEMU's network lets it. The connection stays open.
 *
 * @param {number} port of 127.0.0.1
 * @param {{ count: number, size: number, pauseMs?: number }} messages
 * @returns {Promise<import('node:net').Socket>}
 */
export async function feedTcp(port, { count, size, pauseMs = 0 }) {
  const socket = createConnection({ host: '127.0.0.1', port, noDelay: true });
  await new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  // The guest is killed in the end: no news.
  socket.on('error', () => {});
  const message = Buffer.alloc(size, 'f');
  for (let i = 0; i < count; i++) {
    socket.write(message);
    if (pauseMs > 0) await sleep(pauseMs);
    else await turn();
  }
  return socket;
}

/**
 * Sends `count` datagrams of `size` bytes.
 *
 * @param {number} port of 127.0.0.1
 * @param {{ count: number, size: number, pauseMs: number }} messages
 */
export async function feedUdp(port, { count, size, pauseMs }) {
  const socket = createSocket('udp4');
  const message = Buffer.alloc(size, 'u');
  for (let i = 0; i < count; i++) {
    await new Promise((resolve, reject) => {
      socket.send(message, port, '127.0.0.1', (error) => (error ? reject(error) : resolve(undefined)));
    });
    await sleep(pauseMs);
  }
  socket.close();
}
