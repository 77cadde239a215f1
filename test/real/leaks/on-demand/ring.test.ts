import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { leaksSchema } from '../../../../src/contracts/leaks.js';
import { LAB_KERNELS } from '../../../support/lab.js';
import { LeakGuest } from '../leak-guest.js';
import { kindOf } from '../leaks-suite.js';

/**
 * Order-2 blocks in the module's ring, and its allocations per second: each block lives for 32 s or
 * more.
 */
const [RING, PER_SECOND] = [64, 2];
const SECONDS = 24;

describe.each(LAB_KERNELS)('%s: a ring whose blocks outlive the recording', (kernel) => {
  let guest: LeakGuest;

  beforeAll(async () => {
    guest = await LeakGuest.boot(kernel);
    await guest.mount();
    await guest.leaks({ ring_page: PER_SECOND, leak_third: 12 });
    await guest.go();
    // On a busy machine the module is slower, and the ring grows until it is full.
    while ((await guest.truth()).ring_page.blocks < RING) await guest.guest.run('sleep 2');
  });

  afterAll(() => guest?.end());

  test('is not reported as leaking, but a leak beside it is', async () => {
    // The module runs to the end: if it stops, nothing grows.
    await guest.start(`--sample 1/1 --windows 6 --interval ${SECONDS} --json`);
    const { status, stdout } = await guest.finish();
    expect(status).toBe(0);
    const answer = leaksSchema.parse(JSON.parse(stdout));
    const of = (name: string) =>
      answer.sites.filter((site) => kindOf(site) === name).map(({ verdict, reason }) => [verdict, reason]);
    expect([of('ring_page'), of('leak_third')]).toEqual([
      [['unknown', 'frees-keep-pace']],
      [['leaking', 'unreferenced']],
    ]);
  });
});
