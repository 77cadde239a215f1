import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type MetricsServer, serveMetrics } from '../../../src/app/kit/metrics-server.js';

const ANSWER = 'a 1\n'.repeat(50_000);
const REQUEST = 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n';

let server: MetricsServer | null;
let port: number;
let answered: number;
const clients: Socket[] = [];

beforeEach(async () => {
  let said = '';
  answered = 0;
  const stderr = vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    said += String(text);
    return true;
  });
  server = await serveMetrics('test', { host: '127.0.0.1', port: 0 }, async () => {
    answered++;
    return ANSWER;
  });
  stderr.mockRestore();
  port = Number(/:(\d+)\/metrics/.exec(said)?.[1]);
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await server?.close();
});

async function client(text: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  clients.push(socket);
  await once(socket, 'connect');
  socket.write(text);
  return socket;
}

const scrape = async () => {
  const found = await fetch(`http://127.0.0.1:${port}/metrics`, { signal: AbortSignal.timeout(5000) });
  return found.text();
};

test.each([
  ['send many requests and read nothing', REQUEST.repeat(500)],
  ['send half a request', 'GET /metrics HTTP/1.1\r\n'],
  ['send nothing', ''],
])('answers scrapes while 40 clients %s', async (_, text) => {
  for (let count = 0; count < 40; count++) (await client(text)).pause();
  await new Promise((resolve) => setTimeout(resolve, 200));
  for (let count = 0; count < 3; count++) expect(await scrape()).toBe(ANSWER);
  // Further requests on a connection are ignored.
  expect(answered).toBeLessThanOrEqual(43);
});

test('closes a connection that stays open for a minute', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const socket = await client('');
  await vi.waitFor(async () => {
    vi.advanceTimersByTime(60_000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(socket.closed || socket.readableEnded || socket.destroyed).toBe(true);
  });
  vi.useRealTimers();
});
