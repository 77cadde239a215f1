import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { estimatePinned, estimateUnixBacklog, type PinnedInput, sumPinned } from '../../src/skcheck/pinned.js';

const GIB = 1024 ** 3;
const plain: PinnedInput = {
  protocol: 'TCP',
  payload: 65_180,
  charge: 1_608_448,
  segments: 0,
  payloadIsPart: false,
  maxSkbFrags: 17,
  unplacedMemory: GIB,
};

const inputs: fc.Arbitrary<PinnedInput> = fc.record({
  protocol: fc.constantFrom('TCP', 'UDP', 'UNIX'),
  payload: fc.nat(2 ** 30),
  charge: fc.option(fc.nat(2 ** 30)),
  segments: fc.nat(2 ** 20),
  payloadIsPart: fc.boolean(),
  maxSkbFrags: fc.integer({ min: 17, max: 45 }),
  unplacedMemory: fc.nat(2 ** 40),
});

describe('the estimate for any input', () => {
  test('low ≤ likely ≤ high, all integers', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const { low, likely, high } = estimatePinned(input);
        expect(low).toBeLessThanOrEqual(likely);
        expect(likely).toBeLessThanOrEqual(high);
        expect([low, likely, high].every(Number.isSafeInteger)).toBe(true);
      }),
    );
  });

  // Payload is part of the charge, which grows with it.
  test.each([
    ['payload', ['payload', 'charge']],
    ['overhead', ['charge']],
    ['segments', ['segments']],
    ['memory of the host', ['unplacedMemory']],
    ['frags in an skb', ['maxSkbFrags']],
  ] as const)('more %s never means less memory', (_, fields) => {
    fc.assert(
      fc.property(inputs, fc.nat(2 ** 20), (input, more) => {
        // An unknown number of segments (0) is not a small number, an unknown charge not a small charge.
        if (input.charge === null || input.segments === 0) return;
        const grown = { ...input, charge: input.charge };
        for (const field of fields) grown[field] += more;
        const small = estimatePinned(input);
        const large = estimatePinned(grown);
        expect(large.low).toBeGreaterThanOrEqual(small.low);
        expect(large.likely).toBeGreaterThanOrEqual(small.likely);
        expect(large.high).toBeGreaterThanOrEqual(small.high);
      }),
    );
  });

  test('an unknown number of segments, or partial payload, never narrows the interval', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const known = estimatePinned(input);
        for (const blind of [{ segments: 0 }, { payloadIsPart: true }]) {
          const wider = estimatePinned({ ...input, ...blind });
          expect(wider.low).toBeLessThanOrEqual(known.low);
          expect(wider.high).toBeGreaterThanOrEqual(known.high);
        }
      }),
    );
  });

  test('sums are ordered, and do not exceed the memory that packets can use', () => {
    fc.assert(
      fc.property(fc.array(inputs), fc.nat(2 ** 30), (several, unplaced) => {
        const each = several.map((input) => estimatePinned({ ...input, unplacedMemory: unplaced }));
        const charges = several.reduce((sum, { charge }) => sum + (charge ?? 0), 0);
        const { low, likely, high } = sumPinned(each, charges, { unplacedMemory: unplaced });
        expect(low <= likely && likely <= high).toBe(true);
        expect(high).toBeLessThanOrEqual(Math.max(likely, unplaced + 1.5 * charges + 1));
      }),
    );
  });
});

// Counted page by page in real dumps (KERNEL-FACTS.md); the charge is that of those skbs.
describe('the estimate contains the true value', () => {
  test.each([
    // 6.1: 87 skbs, 1,462 frags, 430 pages of order 0. Each of the 1,549 buffers is a 1 KiB
    // fragment, charged with 1,024 bytes after merging, and with an additional struct as a head.
    ['10-byte messages on 6.1', { payload: 65_180, charge: 1_549 * 1024 + 87 * 256 }, 430 * 4096],
    ['the same at the smallest charge', { payload: 65_180, charge: 1_549 * 512 }, 430 * 4096],
    ['the same at the largest charge', { payload: 65_180, charge: 1_549 * 1280 }, 430 * 4096],
    // 5.10: 20 skbs, 311 frags, 17 pages of order 3.
    ['segments over 128 bytes on 5.10', { payload: 311 * 200, charge: 311 * 1536 + 20 * 768 }, 17 * 32_768],
    // 5.10 on a busy machine: 1,040 skbs with a copied head each, and 17 messages that were merged to
    // more than the 128 bytes that virtio-net copies, in 12 pages of order 3 (counted by drgn).
    ['10-byte messages, some of them merged', { payload: 64_000, charge: 824_832 }, 1_191_936],
    // The same on a busier machine: 49 in 29 pages.
    ['more of them merged', { payload: 64_000, charge: 829_440 }, 1_702_912],
    // One 10-byte message of a local sender pins the whole page that it was copied into.
    ['one small message on loopback', { payload: 10, charge: 842 }, 32_768 + 768],
  ])('%s', (_, figures, truth) => {
    const { low, high } = estimatePinned({ ...plain, ...figures });
    expect(low).toBeLessThanOrEqual(truth);
    expect(high).toBeGreaterThanOrEqual(truth);
  });

  test('has a likely value within 30 % of the true one for uniform traffic', () => {
    const { likely } = estimatePinned(plain);
    expect(Math.abs(likely / (430 * 4096) - 1)).toBeLessThan(0.3);
  });
});

// An skb and its smallest head, in kernels up to 6.3 and since then (skbuff_small_head).
test.each([256 + 512, 256 + 704])('contains %d bytes for each connection at a unix listener', (truth) => {
  const { low, likely, high } = estimateUnixBacklog(3);
  expect(low).toBeLessThanOrEqual(3 * truth);
  expect(high).toBeGreaterThanOrEqual(3 * truth);
  expect(Math.abs(likely / (3 * truth) - 1)).toBeLessThan(0.3);
});

describe('limits of the estimate', () => {
  test('few segments limit the pages', () => {
    const { high } = estimatePinned({ ...plain, charge: 100_000, segments: 2 });
    expect(high).toBe(2 * 18 * 32_768 + 150_000);
  });
  test('few bytes limit the pages, unless bytes are missing from the count', () => {
    const few = { ...plain, payload: 3, charge: 512 };
    expect(estimatePinned(few).high).toBe(18 * 32_768 + 768);
    const large = { ...plain, payload: 3, charge: 512 * 1000 };
    expect(estimatePinned(large).high).toBe((3 + 1000 + 18) * 32_768 + 768_000);
    expect(estimatePinned({ ...large, payloadIsPart: true }).high).toBeGreaterThan(estimatePinned(large).high);
  });
  test('the memory of the host limits the pages', () => {
    const { high } = estimatePinned({ ...plain, unplacedMemory: 3_000_000 });
    expect(high).toBe(3_000_000 + 1.5 * 1_608_448);
  });
  test('a limit by the memory of the host is no upper bound, since it depends on free memory', () => {
    expect(estimatePinned({ ...plain, unplacedMemory: 3_000_000 }).atMost).toBeNull();
    expect(estimatePinned({ ...plain, charge: null }).atMost).toBeNull();
    const counted = { ...plain, unplacedMemory: 3_000_000, unplacedIsCounted: true };
    expect(estimatePinned(counted).atMost).toBe(3_000_000 + 1.5 * 1_608_448);
  });
  test('an upper bound is independent of free memory, or unknown', () => {
    fc.assert(
      fc.property(inputs, fc.nat(2 ** 40), (input, free) => {
        const [one, other] = [input, { ...input, unplacedMemory: free }].map(estimatePinned);
        if (one!.atMost !== null && other!.atMost !== null) expect(one).toEqual(other);
        for (const each of [one!, other!]) if (each.atMost !== null) expect(each.atMost).toBe(each.high);
      }),
    );
  });
  test('a sum has an upper bound only if each part has one, and all fit', () => {
    const host = { unplacedMemory: GIB };
    const known = { low: 1, likely: 2, high: 1000, atMost: 1000 };
    expect(sumPinned([known, known], 2, host).atMost).toBe(2000);
    expect(sumPinned([known, { ...known, atMost: null }], 2, host).atMost).toBeNull();
    const small = { unplacedMemory: 1500 };
    expect(sumPinned([known, known], 2, small)).toMatchObject({ high: 1503, atMost: null });
    expect(sumPinned([known, known], 2, { ...small, unplacedIsCounted: true }).atMost).toBe(1503);
  });
  test('an unknown charge allows anything up to the memory of the host', () => {
    const { low, high } = estimatePinned({ ...plain, protocol: 'UNIX', charge: null });
    expect(low).toBe(65_180);
    expect(high).toBeGreaterThanOrEqual(GIB);
  });
});
