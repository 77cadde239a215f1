import { expect, test } from 'vitest';
import { readList } from '../../../src/answers/info/lists/lists.js';
import { FixtureBase } from '../../support/overlaid-kernel.js';
import { Mounted } from './mounted.js';

const [BASE, WIDE] = [new FixtureBase('6.1'), new FixtureBase('newest')];
const [OFF_LIST, PAGE] = [0x4000_0000, 4096];

/** A swap file of 15 pages, 3 of which are in use; a second device that swapoff has left. */
class Swap extends Mounted {
  readonly map = this.make(16);
  readonly device = this.make('swap_info_struct', {
    flags: 3,
    prio: 0xfffe,
    pages: 15,
    max: 16,
    inuse_pages: 3,
    swap_file: this.file('swapfile'),
  });
  readonly table = this.make(16);
  readonly number = this.#int('nr_swapfiles', 2);
  readonly total = this.#int('total_swap_pages', 15);
  readonly free = this.#int('nr_swap_pages', 12);

  constructor(base = BASE) {
    super(base);
    this.symbols.swap_info = this.table;
    this.word(this.table, this.device);
    this.word(this.table + 8n, this.make('swap_info_struct', { flags: 0 }));
    this.write(this.map, Uint8Array.of(0x3f, 1, 0, 2, 0x40));
    if (base === BASE) this.set('swap_info_struct', this.device, { swap_map: this.map });
  }

  #int(name: string, value: number): bigint {
    const at = this.make(8);
    this.word(at, value);
    this.symbols[name] = at;
    return at;
  }
}

test('lists devices in use, with slots by counter and by map', () => {
  const { devices, complete, warnings } = readList('swap', new Swap().kernel());
  expect([complete, warnings]).toEqual([true, []]);
  const used = { usedBytes: 3 * PAGE, usedSlotBytes: 3 * PAGE };
  expect(devices).toMatchObject([{ path: '/swapfile', kind: 'file', sizeBytes: 15 * PAGE, priority: -2, ...used }]);
});

type Members = Readonly<Record<string, bigint | number | string>>;
const device = (members: Members) => (one: Swap) => one.set('swap_info_struct', one.device, members);

test.each<readonly [string, RegExp, (one: Swap) => void]>([
  ['counter', /inuse_pages is 4, but 3 slots are in use/, device({ inuse_pages: 4 })],
  ['map', /inuse_pages is 3, but 4 slots are in use/, (one) => one.write(one.map + 2n, Uint8Array.of(1))],
  ['place of the map', /map of slots/, device({ swap_map: 8 })],
  ['size', /3 of 17 pages in use, of 16 slots/, device({ pages: 17 })],
  ['number of slots', /of 0 slots/, device({ max: 0 })],
  ['file', /path of a swap device/, device({ swap_file: 8 })],
  ['pointer', /^swap device: /, (one) => one.word(one.table, 8)],
  ['total', /total_swap_pages is 16, but the devices have 15 pages/, (one) => one.word(one.total, 16)],
  ['number of free pages', /4 pages of swap are used by nr_swap_pages, but 3/, (one) => one.word(one.free, 11)],
  ['place of the totals', /totals of swap/, (one) => Object.assign(one.symbols, { nr_swap_pages: 8n })],
])('reports a wrong %s', (_, message, damage) => {
  const one = new Swap();
  damage(one);
  const { complete, warnings } = readList('swap', one.kernel());
  expect(complete).toBe(false);
  expect(warnings).toContainEqual(expect.objectContaining({ message: expect.stringMatching(message) }));
});

test('refuses more devices than a kernel has', () => {
  const one = new Swap();
  one.word(one.number, 33);
  expect(() => readList('swap', one.kernel())).toThrow('nr_swapfiles is 33');
});

test('a running kernel changes its totals and maps meanwhile', () => {
  const one = new Swap();
  one.word(one.free, 0);
  one.set('swap_info_struct', one.device, { inuse_pages: 4 });
  expect(readList('swap', one.kernel({ live: true }))).toMatchObject({ complete: true, devices: [{ kind: 'file' }] });
});

test('counts slots in the tables of clusters since 7.0', () => {
  const one = new Swap(WIDE);
  const slots = one.make('swap_table');
  for (const [slot, entry] of [8, 3, 0, 2, 18].entries()) one.word(slots + BigInt(slot * 8), entry);
  const clusters = one.make('swap_cluster_info', { table: slots });
  one.set('swap_info_struct', one.device, { cluster_info: clusters, inuse_pages: 3 + OFF_LIST });
  expect(readList('swap', one.kernel())).toMatchObject({ complete: true, devices: [{ usedSlotBytes: 3 * PAGE }] });
});
