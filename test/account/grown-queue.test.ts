import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { accountAll, type CensusAnswer } from '../../src/account/sockets.js';
import { once } from '../../src/base/util.js';
import { DumpDirectory } from '../support/dump/file.js';
import { PAGE } from '../support/dump/grown-memory.js';
import { writeGrownQueue } from '../support/dump/grown-queue.js';
import { fixture } from '../support/fixtures.js';
import { askDump } from '../support/opened-kernel.js';

// scripts/bench growth does the same with a million skbs, and measures the time.
const directory = new DumpDirectory();
afterAll(() => directory.dispose());

function census(file: string) {
  return askDump(file, accountAll);
}

const { vmcore, truth } = fixture('6.1');
const before = once(() => census(vmcore));

test.each([
  [1, 'plain'],
  [3_000, 'plain'],
  [20_000, 'plain'],
  [20_000, 'clones'],
] as const)('a queue that grew by %i skbs (%s) holds exactly these in addition', (skbs, kind) => {
  const role = truth.roles.find(({ name }) => name === 'starving');
  if (!role) throw new Error('the fixture has no starving reader');
  const path = join(directory.path, `${skbs}-${kind}.vmcore`);
  const growth = writeGrownQueue(path, vmcore, role, skbs, kind);

  const after = census(path);
  const socketOf = ({ sockets }: CensusAnswer) =>
    sockets.find(({ holders }) => holders.some(({ pid, fd }) => pid === role.pid && fd === role.fd));
  const queueOf = (answer: CensusAnswer) => socketOf(answer)?.queues.receive;
  for (const [small, grown] of [
    [before().totals, after.totals],
    [queueOf(before()), queueOf(after)],
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
  expect(after.sockets).toHaveLength(before().sockets.length);
  // The other halves of pairs are in no queue, and keep all memory; a page has references from four skbs.
  const owned = (answer: CensusAnswer) => socketOf(answer)?.exclusiveBytes ?? 0;
  const own = { plain: skbs % 4 ? growth.slabBytes : growth.pages * PAGE + growth.slabBytes, clones: 0 };
  expect(owned(after) - owned(before())).toBe(own[kind]);
});
