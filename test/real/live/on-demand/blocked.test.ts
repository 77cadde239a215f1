import { afterAll, beforeAll, expect, test } from 'vitest';
import { bootGuest, type Guest } from '../../../../scripts/lab-parts/guest.mjs';
import { guestModule } from '../../../../scripts/lab-parts/guest-module.mjs';
import { blockedSchema } from '../../../../src/answers/blocked/schema.js';
import { blockedSuite } from '../../stacks/blocked-suite.js';
import { jsonInGuest, kdumpMemInGuest, MEMORY_MIB } from '../live-guest.js';

blockedSuite('5.10');
blockedSuite('6.12');

const MOST_MS = 480_000;
const CROWD = 200;
let guest: Guest;

beforeAll(async () => {
  guest = await bootGuest({
    kernel: '6.12',
    memoryMiB: MEMORY_MIB,
    files: [...kdumpMemInGuest('6.12'), guestModule('locks', '6.12')],
    limitMs: 2 * MOST_MS,
  });
  await guest.run(`insmod /locks.ko crowd=${CROWD}`, { timeoutMs: MOST_MS });
}, 2 * MOST_MS);

afterAll(() => guest?.kill());

test(
  '--live: many tasks wait for one mutex',
  async () => {
    const { locks, complete, warnings } = blockedSchema.parse(
      await jsonInGuest(guest, 'blocked --live', MOST_MS),
    );
    const lock = locks.find(({ symbol }) => symbol === 'lk_crowd');
    expect(lock).toMatchObject({ kind: 'mutex', owner: { comm: 'lk-first', state: 'S' } });
    expect(lock?.waiters).toHaveLength(CROWD - 1);
    expect(warnings).toEqual([]);
    expect(complete).toBe(true);
  },
  MOST_MS,
);
