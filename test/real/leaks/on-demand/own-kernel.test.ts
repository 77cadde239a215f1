import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { leaksSchema } from '../../../../src/contracts/leaks.js';
import { inGuest } from '../../../support/guest.js';
import type { LeakGuest } from '../leak-guest.js';
import { kindOf } from '../leaks-suite.js';
import { AREAS, bootOwnKernel, checkHealthy, KINDS_IN, OBJECTS, PAGES, REMEMBERS, sumOf } from '../own-kernel-guest.js';

const SECONDS = 24;
const REFUSED = 3;
const PAUSED = '/sys/module/leak/parameters/paused';

let guest: LeakGuest;
beforeAll(async () => {
  guest = await bootOwnKernel(REMEMBERS);
  await guest.leaks({});
});
afterAll(() => guest?.end());

describe('allocation records of the kernel, read while a module leaks under load', () => {
  test.each([
    ['page-owner-stacks', 'page', PAGES, KINDS_IN.show_stacks, 'leak_fifth', SECONDS],
    // Each reading takes 10 to 20 seconds.
    ['page-owner', 'page', PAGES, KINDS_IN.page_owner, 'leak_fifth', 4 * SECONDS],
    ['allocinfo', 'page', PAGES, KINDS_IN.page_owner, 'leak_fifth', SECONDS],
    ['slab-traces', 'slab', OBJECTS, KINDS_IN['kmalloc-1k'], 'leak_object', SECONDS],
    ['vmallocinfo', 'vmalloc', AREAS, KINDS_IN.vmallocinfo, 'leak_area', SECONDS],
  ] as const)(
    '%s: reports what the module holds to the byte, with its leak first',
    async (method, type, rates, kinds, largest, seconds) => {
      await guest.rates(rates);
      await guest.load(SECONDS);
      // It catches SIGHUP (bit 0 of SigCgt) once it reads again.
      await guest.guest.run(
        `kdump-mem leaks --type ${type} --method ${method} --interval 600 --windows 200 --json > /tmp/answer 2> /tmp/said &
         while [ -e /proc/$! ] && ! grep -q '^SigCgt:.*[13579bdf]$' /proc/$!/status; do usleep 100000; done
         echo 0 > ${PAUSED}; sleep ${seconds}; echo 1 > ${PAUSED}; usleep 500000
         kill -INT $!; wait $! || { cat /tmp/said; exit 1; }`,
      );
      const truth = await guest.truth();
      const { output } = await guest.guest.run('cat /tmp/answer');
      const answer = leaksSchema.parse(JSON.parse(output.toString()));
      const reportedBytes = kinds.map((kind) => [
        kind,
        sumOf(answer, kind, ({ bytes, beforeBytes }) => bytes + (beforeBytes ?? 0)),
      ]);
      console.log(method, answer.windows, 'windows', answer.seconds, 's', JSON.stringify(reportedBytes));
      expect(answer).toMatchObject({ method, endedEarly: true });
      expect(reportedBytes).toEqual(kinds.map((kind) => [kind, truth[kind].bytes]));
      expect(sumOf(answer, largest, ({ bytes }) => bytes)).toBeGreaterThan(0);
      // Looked-up blocks of programs are reported as process memory.
      const [first] = answer.sites.filter(({ reason }) => reason !== 'process-owned');
      expect(first && kindOf(first)).toBe(largest);
      // A long reading may end after the module was stopped: the last window then has no growth.
      const verdicts = method === 'page-owner' ? ['growing', 'unknown'] : ['growing'];
      expect(verdicts).toContain(first?.verdict);
      checkHealthy(answer);
    },
  );
});

describe('a disabled method is refused in one line', () => {
  /** The line of `--methods` for one method. */
  const offered = async (from: LeakGuest, type: string, method: string) => {
    const { output } = await inGuest(from.guest, `leaks --methods --type ${type} --json`);
    const { methods } = JSON.parse(output.toString()) as { methods: { method: string; refusal: string | null }[] };
    return methods.find((one) => one.method === method)?.refusal;
  };
  const refused = async (from: LeakGuest, type: string, method: string) => {
    const command = `leaks --type ${type} --method ${method} --interval 3 --windows 3`;
    const { status, output } = await inGuest(from.guest, command);
    expect([status, output.toString()]).toEqual([REFUSED, expect.stringMatching(/^kdump-mem: [^\n]+\n([^\n]+\n)?$/)]);
    return output.toString();
  };

  test('allocation profiling that was turned off', async () => {
    expect(await offered(guest, 'page', 'allocinfo')).toBeNull();
    await guest.guest.run('echo 0 > /proc/sys/vm/mem_profiling');
    expect(await offered(guest, 'page', 'allocinfo')).toBe('off');
    expect(await refused(guest, 'page', 'allocinfo')).toContain('sysctl vm.mem_profiling=1');
  });

  test('page_owner and slub_debug that were not enabled at boot', async () => {
    const bare = await bootOwnKernel('');
    try {
      for (const [type, method] of [
        ['page', 'page-owner'],
        ['page', 'page-owner-stacks'],
        ['slab', 'slab-traces'],
      ] as const) {
        expect([method, await offered(bare, type, method)]).toEqual([method, expect.stringMatching(/^(off|absent)$/)]);
        await refused(bare, type, method);
      }
    } finally {
      bare.end();
    }
  });
});
