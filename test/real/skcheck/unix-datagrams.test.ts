import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Stage, skcheckJson } from './stage.js';

const stage = new Stage();
const dir = mkdtempSync(join(tmpdir(), 'skcheck-'));
afterAll(() => {
  stage.end();
  rmSync(dir, { recursive: true });
});

/** The estimate of skcheck, and the kernel's charge of the connected senders (SIOCOUTQ). */
async function sceneOf(...scene: string[]) {
  const { pid, port: charged } = await stage.perl('unix-datagrams.pl', ...scene);
  const { report } = skcheckJson(['--interval', '1', '--pid', `${pid}`]);
  const readers = report.sockets.filter(({ type, unreadBytes }) => {
    return type === 'SOCK_DGRAM' && unreadBytes > 0;
  });
  expect(readers.length).toBe(1);
  return { charged, reader: readers[0] };
}

test('the datagrams of a socketpair match the kernel’s charge of their sender', async () => {
  const { charged, reader } = await sceneOf('pair');
  expect(charged).toBeGreaterThan(100_000);
  expect(reader).toMatchObject({ stalled: { verdict: 'stalled-reader' }, unreadBytes: 100 });
  expect(reader?.pinned.likely).toBe(charged);
  expect(reader?.pinned.low).toBeGreaterThan(reader?.unreadBytes ?? 0);
  expect(reader?.pinned.atMost).toBeGreaterThanOrEqual(charged);
});

test('adds several connected senders; an unconnected one leaves no upper bound', async () => {
  const { charged, reader } = await sceneOf('named', join(dir, 'reader.sock'));
  expect(reader?.pinned).toMatchObject({ likely: charged, atMost: null });
  // 3,000 bytes and skb_shared_info are in a slot of 4 KiB.
  expect(reader?.pinned.low).toBeGreaterThanOrEqual(4096);
});
