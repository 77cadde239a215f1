import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { accountAll } from '../../src/account/sockets.js';
import { openNative } from '../../src/kernel/native/open.js';
import { DumpDirectory } from '../support/dump/file.js';
import { writeGrownQueue } from '../support/dump/grown-queue.js';
import { fixture } from '../support/fixtures.js';

// scripts/bench growth does the same with a million, and times it.
const directory = new DumpDirectory();
afterAll(() => directory.dispose());

function census(file: string) {
  const kernel = openNative({ files: [file] });
  try {
    return accountAll(kernel);
  } finally {
    kernel.close();
  }
}

test.each([1, 3_000, 20_000])('a queue that grew by %i skbs holds just these more', (skbs) => {
  const { vmcore, truth } = fixture('6.1');
  const role = truth.roles.find(({ name }) => name === 'starving');
  if (!role) throw new Error('the fixture has no starving reader');
  const path = join(directory.path, `${skbs}.vmcore`);
  const growth = writeGrownQueue(path, vmcore, role, skbs);

  const [before, after] = [census(vmcore), census(path)];
  const queueOf = ({ sockets }: typeof before) =>
    sockets.find(({ holders }) => holders.some(({ pid, fd }) => pid === role.pid && fd === role.fd))
      ?.queues.receive;
  for (const [small, grown] of [
    [before.total, after.total],
    [queueOf(before), queueOf(after)],
  ]) {
    if (!small || !grown) throw new Error('the socket is not there');
    for (const [figure, more] of Object.entries(growth))
      expect({ [figure]: grown[figure as keyof typeof growth] }).toEqual({
        [figure]: small[figure as keyof typeof growth] + more,
      });
    expect(grown).toMatchObject({
      orders: { ...small.orders, 0: (small.orders[0] ?? 0) + growth.pages },
      complete: true,
    });
  }
  expect(after.sockets).toHaveLength(before.sockets.length);
});
