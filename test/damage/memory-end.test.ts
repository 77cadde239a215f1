import { expect, test } from 'vitest';
import { accountAll } from '../../src/account/sockets.js';
import { memoryEnd } from '../../src/walk/pages/memory-end.js';
import { type Damage, together } from '../support/damaged-kernel.js';
import { FIXTURES, fixture } from '../support/fixtures.js';
import { askDump, fixtureKernel } from '../support/opened-kernel.js';

const { kernel, addressOf, read, set, clear, lose, damagedBy } = fixtureKernel('6.1');

const truth = accountAll(kernel);
const MAX_PFN = kernel.symbol('max_pfn')!;

/** A word of the second zone, which contains nearly all of the fixture's memory. */
const zone = (member: string) =>
  addressOf(
    addressOf(read('node_data'), 'pglist_data.node_zones') + BigInt(kernel.struct('zone')!.size),
    `zone.${member}`,
  );

test.each<[string, Damage, RegExp]>([
  ['0 in max_pfn', set('max_pfn', 8, 0n), /max_pfn is 0$/],
  ['too small a value in max_pfn', set('max_pfn', 8, 100_000n), /max_pfn is 100000, and zones .* 131040$/],
  ['a page of zeros around max_pfn', clear(MAX_PFN & ~0xfffn, 4096), /max_pfn is 0$/],
  ['all ones in max_pfn', set('max_pfn', 8, 2n ** 64n - 1n), /max_pfn is 1844674407370955/],
  ['2^40 in max_pfn', set('max_pfn', 8, 2n ** 40n), /page frame 1099511627776 is said/],
  ['2^39 in max_pfn', set('max_pfn', 8, 2n ** 39n), /page frame 549755813888 is said/],
  ['a zone with a distant start', set(zone('zone_start_pfn'), 8, 2n ** 38n), /274878033888 is said/],
  ['a zone without an end', set(zone('spanned_pages'), 8, 2n ** 63n), /has 126944 pages in 92233/],
  ['an empty zone', set(zone('spanned_pages'), 8, 0n), /has 126944 pages in 0 /],
  ['no nodes', set('node_data', 8, 0n), /no node has a zone/],
  ['a missing max_pfn', lose('max_pfn', 8), /filtered out of the dump.*part of max_pfn/],
  [
    'too small a value in max_pfn, and no readable zones',
    together(set('max_pfn', 8, 100_000n), lose('node_data', 8)),
    /max_pfn is 100000, and the dump has memory up to page frame 131040/,
  ],
])('%s: reports it, and finds every socket', (_, damage, message) => {
  const answer = accountAll(damagedBy(damage));
  expect(answer.totals.sockets).toBe(truth.totals.sockets);
  expect(answer.totals).toEqual({ ...truth.totals, complete: false });
  expect(answer.warnings.map(({ message }) => message)).toContainEqual(
    expect.stringMatching(new RegExp(`end of memory: .*${message.source}`)),
  );
});

test('without max_pfn and zones, scans the memory in the dump', () => {
  const damage = together(set('max_pfn', 8, 0n), lose('node_data', 8));
  const answer = accountAll(damagedBy(damage));
  expect([answer.totals.sockets, answer.totals.complete]).toEqual([truth.totals.sockets, false]);
});

test.each(FIXTURES)('on %s max_pfn and zones agree', (name) => {
  const end = askDump(fixture(name).vmcore, memoryEnd);
  expect(end).toEqual({ frame: end.agreed, agreed: end.frame, faults: [] });
  expect(end.frame).toBeGreaterThan(0);
});
