import { afterAll, beforeAll, expect, test } from 'vitest';
import { memleakInGuest } from '../../../../scripts/lab-parts/memleak.mjs';
import type { LeaksAnswer } from '../../../../src/contracts/leaks.js';
import { KINDS, type Kind, LeakGuest, type Rates, type Truth } from '../leak-guest.js';
import { kindOf } from '../leaks-suite.js';

const SECONDS = 24;
const PAGE = 4096;

const RATES: Rates = {
  leak_single: 60,
  leak_third: 12,
  leak_fifth: 5,
  leak_parts: 12,
  leak_bulk: 10,
  leak_object: 40,
  keep_page: 100,
  ring_split: 20,
  ring_exact: 20,
};
/** Blocks that are freed as they were allocated, or never. */
const WHOLE = ['leak_single', 'leak_third', 'leak_fifth', 'keep_page'] as const;
/** Pages of a block of the ring, as allocated. */
const RINGS = { ring_split: 16, ring_exact: 8 } as const;
const RING = 64;
const LEAKS = ['leak_single', 'leak_third', 'leak_fifth', 'leak_parts'] as const;

/** Bytes that memleak reports as outstanding. */
interface Outstanding {
  readonly pages: number;
  readonly objects: number;
}

let guest: LeakGuest;
/** Memory that the module held at the start of our recording, and at its end. */
let before: Truth;
let truth: Truth;
let ours: LeaksAnswer;
let theirs: Readonly<Record<Kind, Outstanding>>;

/**
 * `N bytes in M allocations from stack`, then a line for each function: print_stack_frames of
 * memleak.c.
 */
function outstanding(text: string): typeof theirs {
  const sums = KINDS.map((kind) => {
    const sum = { pages: 0, objects: 0 };
    for (const [, bytes, stack = ''] of text.matchAll(/^(\d+) bytes in \d+ allocations from stack\n((?:\t.*\n)+)/gm)) {
      if (!stack.includes(`>] ${kind}+0x`)) continue;
      sum[/>] __alloc_pages/.test(stack) ? 'pages' : 'objects'] += Number(bytes);
    }
    return [kind, sum];
  });
  return Object.fromEntries(sums) as typeof theirs;
}

/**
 * Starts memleak. Its output stays in a buffer until that is full, even the start message: its
 * programs are attached once it sleeps.
 */
async function startMemleak(): Promise<void> {
  await guest.guest.run(
    `(memleak-libbpf -T 10000 3600 1 > /tmp/memleak 2>&1; echo $? > /tmp/ended) < /dev/null > /dev/null 2>&1 &
     until grep -q nanosleep /proc/$(pidof ld.so)/wchan; do
       [ -e /tmp/ended ] && { cat /tmp/memleak; exit 1; }
       usleep 100000
     done 2> /dev/null`,
  );
}

/** Ends memleak, which first reports outstanding memory. */
async function endMemleak(): Promise<string> {
  const { output } = await guest.guest.run(
    'kill -INT $(pidof ld.so); until [ -s /tmp/ended ]; do usleep 100000; done; cat /tmp/memleak',
  );
  return output.toString();
}

beforeAll(async () => {
  guest = await LeakGuest.boot('6.12', { files: memleakInGuest(), memoryMiB: 1536 });
  await guest.mount();
  await guest.leaks(RATES);
  await startMemleak();
  // A late stack may find its slot in memleak's table occupied: these allocations come before those
  // of the test's processes.
  await guest.go();
  await guest.guest.run('sleep 1');
  await guest.halt();
  before = await guest.truth();
  ({ answer: ours, truth } = await guest.traced('--windows 6 --sample 1/1', SECONDS));
  theirs = outstanding(await endMemleak());
  for (const kind of KINDS)
    if (kind in RATES)
      console.log(kind, { memleak: theirs[kind], held: truth[kind].bytes, ours: ourBytes(kind), since: since(kind) });
});

afterAll(() => guest?.end());

const ourBytes = (kind: Kind) =>
  ours.sites.filter((site) => kindOf(site) === kind).reduce((sum, { bytes }) => sum + bytes, 0);

/** Growth of the module's memory since our recording started. */
const since = (kind: Kind) => truth[kind].bytes - before[kind].bytes;

/**
 * memleak's figures by kind, and the expected ones. If another stack occupies the slot in its table
 * (bpf_get_stackid: EEXIST), memleak 0.31 omits it silently: one may be missing.
 */
function expectReported(expected: Partial<Record<Kind, number>>): void {
  const kinds = Object.keys(expected) as Kind[];
  const reportedPages = kinds.map((kind) => theirs[kind].pages);
  expect(reportedPages.filter((bytes) => bytes === 0).length).toBeLessThanOrEqual(1);
  expect(reportedPages).toEqual(kinds.map((kind, at) => (reportedPages[at] === 0 ? 0 : expected[kind])));
}

test('kdump-mem reports the module’s memory to the byte, also partly freed blocks', () => {
  const kinds = [...LEAKS, 'keep_page'] as const;
  for (const kind of kinds) expect(since(kind), kind).toBeGreaterThan(PAGE);
  expect(kinds.map((kind) => [kind, ourBytes(kind)])).toEqual(kinds.map((kind) => [kind, since(kind)]));
  // All that the rings held at the start was freed meanwhile.
  for (const kind of ['ring_split', 'ring_exact'] as const)
    expect([kind, ourBytes(kind)]).toEqual([kind, truth[kind].bytes]);
});

test('memleak reports to the byte what is freed as allocated, or never', () => {
  expectReported(Object.fromEntries(WHOLE.map((kind) => [kind, truth[kind].bytes])));
});

test('memleak forgets a block whose first page was freed', () => {
  expect(truth.leak_parts.bytes).toBeGreaterThan(100 * PAGE);
  expect(theirs.leak_parts).toEqual({ pages: 0, objects: 0 });
});

test('memleak reports blocks in full whose other pages were freed', () => {
  const whole = Object.entries(RINGS).map(([kind, pages]) => [kind, RING * pages * PAGE]);
  expectReported(Object.fromEntries(whole));
  for (const [kind, bytes] of whole) expect(truth[kind as Kind].bytes, String(kind)).toBeLessThan(Number(bytes));
});

test('memleak reports objects, and again the pages of their slabs', () => {
  const { objects, pages } = theirs.leak_object;
  expect([0, truth.leak_object.bytes]).toContain(objects);
  expect([...KINDS].filter((kind) => theirs[kind].objects > 0)).toEqual(objects > 0 ? ['leak_object'] : []);
  if (pages > 0) expect(pages).toBeGreaterThan(truth.leak_object.bytes / 2);
  expect(objects + pages).toBeGreaterThan(0);
});

test('bulk pages have no event: memleak reports none, kdump-mem counts them as unseen', () => {
  expect(truth.leak_bulk.bytes).toBeGreaterThan(100 * PAGE);
  expect(theirs.leak_bulk).toEqual({ pages: 0, objects: 0 });
  expect(ourBytes('leak_bulk')).toBe(0);
  const { allocated = 0, traced = 0 } = ours.unseen ?? {};
  expect(allocated - traced).toBeGreaterThanOrEqual(since('leak_bulk') / PAGE);
  expect(ours.complete).toBe(false);
});

test('memleak lists a filled cache like a leak; kdump-mem reports only leaks as leaking', () => {
  const leaking = ours.sites.filter(({ verdict }) => verdict === 'leaking').map(kindOf);
  // The slabs of the leaking object are pages too.
  const pages = leaking.filter((kind) => kind !== 'leak_object');
  expect(pages.toSorted()).toEqual([...LEAKS].sort());
  expect([0, truth.keep_page.bytes]).toContain(theirs.keep_page.pages);
});
