import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SkcheckReport } from '../../../src/answers/skcheck/schema.js';
import { type Actor, Stage, skcheck, skcheckJson } from './stage.js';

// A unix connection that was not accepted is in no list of the kernel: its listener names its
// clients.

const stage = new Stage();
const dir = mkdtempSync(join(tmpdir(), 'skcheck-'));
const path = join(dir, 'listener.sock');
const args = ['--interval', '1', '--address', path];
afterAll(() => {
  stage.end();
  rmSync(dir, { recursive: true });
});

let listener: { pid: number };
let clients: Actor[];
let socket: SkcheckReport['sockets'][number] | undefined;
beforeAll(async () => {
  listener = await stage.perl('never-accepts.pl', path);
  clients = [];
  for (const bytes of [0, 5000, 20_000])
    clients.push(await stage.start('client', { path, bytes, comm: `client ${bytes}` }));
  [socket] = skcheckJson(args).report.sockets.filter(({ state }) => state === 'LISTEN');
});

test('reports with certainty that the listener accepts nothing, though its process runs all the time', () => {
  expect(socket).toMatchObject({
    pid: listener.pid,
    recvQ: 3,
    stalled: { verdict: 'never-accepting', certainty: 'proved' },
  });
});

test('names the waiting clients, oldest first', () => {
  expect(socket?.waiting.map(({ pid, comm }) => ({ pid, comm }))).toEqual(
    clients.map(({ pid }, index) => ({ pid, comm: `client ${[0, 5000, 20_000][index]}` })),
  );
  expect(skcheck([...args, '-v']).stdout.replace(/\s+/g, ' ')).toContain(
    `waiting clients: pid ${clients[0]?.pid} (client 0) fd `,
  );
});

test('counts a client that exited, without a name', async () => {
  const gone = await stage.start('client', { path, bytes: 100 });
  process.kill(gone.pid, 'SIGKILL');
  const [more] = skcheckJson(args).report.sockets.filter(({ state }) => state === 'LISTEN');
  expect(more?.recvQ).toBe(4);
  expect(more?.waiting.map(({ pid }) => pid)).toEqual(clients.map(({ pid }) => pid));
});
