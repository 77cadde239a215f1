import { afterAll, beforeAll, expect, test } from 'vitest';
import { type LeaksAnswer, leaksSchema } from '../../../../src/contracts/leaks.js';
import { type Kind, LeakGuest } from '../leak-guest.js';
import { kindOf } from '../leaks-suite.js';

const MIB = 2 ** 20;
/** Limit of our own memory, including Node's. */
const MAX_BYTES = 150 * MIB;
const BLOCKS = 200_000;
const SECONDS = 90;

let guest: LeakGuest;

beforeAll(async () => {
  // About a gigabyte is leaked, and stays.
  guest = await LeakGuest.boot('6.1', { memoryMiB: 4096 });
  await guest.mount();
  await guest.guest.run('echo 1 > /proc/sys/kernel/kptr_restrict');
  await guest.leaks({});
});

afterAll(() => guest?.end());

/** Traces while the module allocates many blocks of a kind, and looks them up. */
async function traced(kind: Kind, options: string): Promise<LeaksAnswer> {
  await guest.rates({ [kind]: 8000 });
  await guest.start(`${options} --interval ${SECONDS} --windows 6 --sample 1/1 --json`);
  await guest.go();
  await guest.guest.run(
    `until [ "$(grep '^${kind} ' /proc/leak | cut -d' ' -f2)" -ge ${BLOCKS} ]; do usleep 100000; done`,
  );
  await guest.halt();
  const { status, stdout, stderr } = await guest.finish();
  if (status !== 0) throw new Error(`status ${status}: ${stderr}`);
  return leaksSchema.parse(JSON.parse(stdout));
}

test.each([
  ['leak_single', '--type page'],
  ['leak_object', '--type slab'],
] as const)('follows 200,000 held blocks, and looks up each in the kernel’s memory: %s', async (kind, options) => {
  const answer = await traced(kind, options);
  const truth = (await guest.truth())[kind];
  const site = answer.sites.find((one) => kindOf(one) === kind);
  const peak = await guest.peakBytes();
  console.log(kind, truth, site?.blocks, `looked up ${answer.lookedUp} by ${answer.lookedUpBy}`, {
    peak: `${(peak / MIB).toFixed(1)} MiB`,
    losses: answer.losses,
    warnings: answer.warnings.map(({ code, count }) => [code, count]),
  });
  expect(truth.blocks).toBeGreaterThanOrEqual(BLOCKS);
  expect(answer.losses).toMatchObject({ overrun: 0, dropped: 0 });
  expect(site?.blocks).toBe(truth.blocks);
  expect(answer.lookedUpBy).toBe('kcore');
  expect(answer.lookedUp).toBeGreaterThan(40_000);
  expect(peak).toBeLessThanOrEqual(MAX_BYTES);
});
