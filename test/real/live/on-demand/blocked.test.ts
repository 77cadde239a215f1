import { beforeAll, describe, expect, test } from 'vitest';
import { blockedSchema } from '../../../../src/contracts/blocked.js';
import { kdumpMem } from '../../../support/cli.js';
import { jsonInGuest, testGuest } from '../../../support/guest.js';
import { blockedSuite, crashBlocked } from '../../stacks/blocked-suite.js';

// crash opens dumps of these.
blockedSuite('5.10', true);
blockedSuite('6.12', true);
const CROWD = 1_000;

describe.each(['6.12', 'newest'] as const)('1,000 tasks wait for one mutex in a guest of %s', (kernel) => {
  const guest = testGuest(kernel);

  beforeAll(async () => {
    await guest.boot({ kdumpMem: true, insmod: ['locks'] });
    await guest.run(`insmod /locks.ko crowd=${CROWD + 1}; sleep 2`);
  });

  const check = (answer: unknown): number[] => {
    const { locks, complete, warnings } = blockedSchema.parse(answer);
    const lock = locks.find(({ symbol }) => symbol === 'lk_crowd');
    expect(lock).toMatchObject({ kind: 'mutex', owner: { comm: 'lk-first' } });
    expect(lock?.waiters).toHaveLength(CROWD);
    expect({ complete, warnings }).toEqual({ complete: true, warnings: [] });
    return locks.flatMap(({ waiters }) => waiters.map(({ pid }) => pid));
  };

  test('--live', async () => void check(await jsonInGuest(guest, 'blocked --live')));

  test('its dump; the tasks are those of crash’s `foreach UN bt`', async () => {
    const dump = await guest.dump();
    const printed = await kdumpMem('blocked', '--json', '--vmcore', dump);
    const pids = check(JSON.parse(printed.stdout));
    // crash does not open dumps of the newest kernel.
    if (kernel === '6.12') expect(new Set(pids)).toEqual(new Set(crashBlocked(kernel, dump)));
  });
});
