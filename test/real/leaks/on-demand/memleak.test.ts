import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bpftraceInGuest, MOUNT } from '../../../../scripts/lab-parts/bpftrace.mjs';
import type { LeaksJson } from '../../../../src/report/leaks/schema.js';
import { type Kind, LeakGuest, type Rates, type Truth } from '../leak-guest.js';
import { kindOf } from '../leaks-suite.js';

const MOST_MS = 900_000;
const SECONDS = 24;
/** From its start to what it prints: ours begins and ends within. */
const MEMLEAK_SECONDS = 240;

const RATES: Rates = {
  ...{ leak_single: 60, leak_third: 12, leak_parts: 12, leak_object: 40 },
  ...{ ring_page: 40, ring_exact: 20 },
};
/** What is never freed in the order in which it was allocated, and what is freed by parts. */
const KINDS = ['leak_single', 'leak_third', 'leak_parts', 'ring_exact'] as const;

/** `N bytes in M allocations from stack`, and a line for each function (print_outstanding_allocs of memleak.c). */
function memleakBytes(text: string, kind: Kind): number {
  let bytes = 0;
  for (const part of text.split(/^(?=\s*\d+ bytes in \d+ allocations)/m)) {
    const told = /^\s*(\d+) bytes in/.exec(part)?.[1];
    if (told !== undefined && new RegExp(`\\b${kind}\\b`).test(part)) bytes += Number(told);
  }
  return bytes;
}

const ourBytes = ({ sites }: LeaksJson, kind: Kind) =>
  sites.filter((site) => kindOf(site) === kind).reduce((sum, { bytes }) => sum + bytes, 0);

describe('beside memleak of libbpf-tools, in one guest at one time', () => {
  let guest: LeakGuest;
  let ours: { answer: LeaksJson; truth: Truth };
  let theirs: string;

  beforeAll(async () => {
    guest = await LeakGuest.boot('6.12', {
      ...bpftraceInGuest('6.12'),
      ...{ memoryMiB: 1536, limitMs: 2 * MOST_MS },
    });
    await guest.mount();
    await guest.guest.run(MOUNT);
    await guest.leaks(RATES);
    await guest.guest.run(
      `(memleak-libbpf -T 200 ${MEMLEAK_SECONDS} 1 > /tmp/memleak 2>&1; echo done >> /tmp/memleak) < /dev/null > /dev/null 2>&1 &
       until grep -qi tracing /tmp/memleak; do grep -q done /tmp/memleak && { cat /tmp/memleak; exit 1; }; sleep 1; done`,
      { timeoutMs: MOST_MS },
    );
    ours = await guest.traced('--windows 6 --sample 1/1', SECONDS);
    const { output } = await guest.guest.run(
      'until grep -q done /tmp/memleak; do sleep 1; done; cat /tmp/memleak',
      { timeoutMs: MOST_MS },
    );
    theirs = output.toString();
    for (const kind of KINDS)
      console.log(kind, {
        truth: ours.truth[kind].bytes,
        ours: ourBytes(ours.answer, kind),
        memleak: memleakBytes(theirs, kind),
      });
  }, MOST_MS);

  afterAll(() => guest?.end());

  test('it tells of what is never freed what we and the module tell', () => {
    for (const kind of ['leak_single', 'leak_third'] as const)
      expect([kind, memleakBytes(theirs, kind)]).toEqual([kind, ours.truth[kind].bytes]);
  });

  test('we tell to the byte what is freed by parts, too', () => {
    for (const kind of KINDS)
      expect([kind, ourBytes(ours.answer, kind)]).toEqual([kind, ours.truth[kind].bytes]);
  });
});
