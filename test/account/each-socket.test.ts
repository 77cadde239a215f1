import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CensusEntry } from '../../src/account/owners.js';
import { accountAll, accountEach } from '../../src/account/sockets.js';
import type { Kernel } from '../../src/kernel/kernel.js';
import { openNative } from '../../src/kernel/native/open.js';
import { damagedKernel, UNDAMAGED } from '../support/damaged-kernel.js';

const DUMP = fileURLToPath(new URL('../../fixtures/dumps/6.1.vmcore', import.meta.url));

let kernel: Kernel;
let reads = 0;
beforeAll(() => {
  kernel = damagedKernel(openNative({ files: [DUMP] }), UNDAMAGED, () => reads++);
});
afterAll(() => kernel.close());

test('yields one by one the sockets of the complete answer', () => {
  const each: CensusEntry[] = [];
  const entries = accountEach(kernel);
  let next = entries.next();
  for (; !next.done; next = entries.next()) each.push(next.value);
  const { sockets, processes: _, groups: __, ...whole } = accountAll(kernel);
  expect(next.value).toEqual(whole);
  const bySock = (a: CensusEntry, b: CensusEntry) => (a.socket.sock < b.socket.sock ? -1 : 1);
  expect(each.toSorted(bySock)).toEqual([...sockets].sort(bySock));
  expect(each.length).toBeGreaterThan(50);
});

test('yields a socket before it reads the next one', () => {
  const entries = accountEach(kernel);
  const readFor = () => {
    const before = reads;
    const { done, value } = entries.next();
    return { done, value, took: reads - before };
  };
  const first = readFor();
  expect(first.done).toBe(false);
  let rest = 0;
  let next = readFor();
  for (; !next.done; next = readFor()) rest += next.took;
  expect(next.value).toMatchObject({ totals: { complete: true } });
  expect(rest).toBeGreaterThan(500);
});
