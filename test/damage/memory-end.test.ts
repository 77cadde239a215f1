import { afterAll, expect, test } from 'vitest';
import { accountAll } from '../../src/account/sockets.js';
import { openNative } from '../../src/kernel/native/open.js';
import { memoryEnd } from '../../src/walk/pages/memory-end.js';
import { type Damage, damagedKernel } from '../support/damaged-kernel.js';
import { FIXTURES, fixture } from '../support/fixtures.js';
import { littleEndian } from '../support/little-endian.js';

const kernel = openNative({ files: [fixture('6.1').vmcore] });
afterAll(() => kernel.close());

const truth = accountAll(kernel);
const MAX_PFN = kernel.symbol('max_pfn')!;
const NODE_DATA = kernel.symbol('node_data')!;
const node = kernel.read(NODE_DATA, 8).getBigUint64(0, true);

const offset = (type: string, member: string) => BigInt(kernel.struct(type)!.member(member)!.offset);

/** A word of the second zone, which contains nearly all of the fixture's memory. */
const zone = (member: string) =>
  node + offset('pglist_data', 'node_zones') + BigInt(kernel.struct('zone')!.size) + offset('zone', member);

const word = (address: bigint, value: bigint): Damage => ({
  patches: [{ address, bytes: littleEndian(value, 8) }],
  denials: [],
});

const zeroedPage = (address: bigint): Damage => ({
  patches: [{ address: address & ~0xfffn, bytes: new Uint8Array(4096) }],
  denials: [],
});

const combined = (...all: readonly Damage[]): Damage => ({
  patches: all.flatMap(({ patches }) => patches),
  denials: all.flatMap(({ denials }) => denials),
});

const denied = (address: bigint): Damage => ({
  patches: [],
  denials: [{ address, length: 8, code: 'filtered' }],
});

test.each<[string, Damage, RegExp]>([
  ['0 in max_pfn', word(MAX_PFN, 0n), /max_pfn is 0$/],
  ['too small a value in max_pfn', word(MAX_PFN, 100_000n), /max_pfn is 100000, and zones .* 131040$/],
  ['a page of zeros around max_pfn', zeroedPage(MAX_PFN), /max_pfn is 0$/],
  ['all ones in max_pfn', word(MAX_PFN, 2n ** 64n - 1n), /max_pfn is 1844674407370955/],
  ['2^40 in max_pfn', word(MAX_PFN, 2n ** 40n), /page frame 1099511627776 is said/],
  ['2^39 in max_pfn', word(MAX_PFN, 2n ** 39n), /page frame 549755813888 is said/],
  ['a zone with a distant start', word(zone('zone_start_pfn'), 2n ** 38n), /274878033888 is said/],
  ['a zone without an end', word(zone('spanned_pages'), 2n ** 63n), /has 126944 pages in 92233/],
  ['an empty zone', word(zone('spanned_pages'), 0n), /has 126944 pages in 0 /],
  ['no nodes', word(NODE_DATA, 0n), /no node has a zone/],
  ['a missing max_pfn', denied(MAX_PFN), /filtered out of the dump.*part of max_pfn/],
  [
    'too small a value in max_pfn, and no readable zones',
    combined(word(MAX_PFN, 100_000n), denied(NODE_DATA)),
    /max_pfn is 100000, and the dump has memory up to page frame 131040/,
  ],
])('%s: reports it, and finds every socket', (_, damage, message) => {
  const answer = accountAll(damagedKernel(kernel, damage));
  expect(answer.count).toBe(truth.count);
  expect(answer.total).toEqual({ ...truth.total, complete: false });
  expect(answer.warnings.map(({ message }) => message)).toContainEqual(
    expect.stringMatching(new RegExp(`end of memory: .*${message.source}`)),
  );
});

test('without max_pfn and zones, scans the memory in the dump', () => {
  const damage = combined(word(MAX_PFN, 0n), denied(NODE_DATA));
  const answer = accountAll(damagedKernel(kernel, damage));
  expect([answer.count, answer.total.complete]).toEqual([truth.count, false]);
});

test.each(FIXTURES)('on %s max_pfn and zones agree', (name) => {
  const sound = openNative({ files: [fixture(name).vmcore] });
  const end = memoryEnd(sound);
  sound.close();
  expect(end).toEqual({ frame: end.agreed, agreed: end.frame, faults: [] });
  expect(end.frame).toBeGreaterThan(0);
});
