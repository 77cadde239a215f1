import { describe, expect, test } from 'vitest';
import type { MachineSample } from '../../src/contracts/growth.js';
import type { RecordedHolder, RecordedHolders } from '../../src/contracts/recorded-holders.js';
import { MAX_HOLDERS, ofBoot, recordedGrowth } from '../../src/growth/recorded.js';
import type { WatchSample } from '../../src/growth/watch/answer.js';
import type { CategoryName } from '../../src/records/categories.js';
import type { HolderScan } from '../../src/records/holder-scans.js';
import { look } from './made-up-machine.js';

const MIB = 2 ** 20;

function sample(
  uptime: number,
  mib: Partial<Record<CategoryName, number>>,
  machine: Partial<MachineSample> = {},
): WatchSample {
  const categories = new Map(Object.entries(mib).map(([name, size]) => [name as CategoryName, size * MIB]));
  const ledger = { source: 'counters', categories } as const;
  return { look: look(uptime, [], machine), ledger, noCategories: null, hidden: false, interval: 5, lost: 0 };
}
const holder = (key: string, mib: number, more: Partial<RecordedHolder> = {}): RecordedHolder => ({
  category: 'anonymous',
  scan: 'processes',
  key,
  name: key,
  pid: Number(key),
  bytes: mib * MIB,
  beganSeconds: 10,
  bound: false,
  ...more,
});
const list = (uptime: number, ...holders: readonly RecordedHolder[]): RecordedHolders => ({
  schema: 'kdump-mem.recorded-holders/1',
  bootId: 'first',
  uptimeSeconds: uptime,
  scans: ['processes'],
  holders,
  unlistedBytes: 0,
});
/** A sample every five seconds, whose anonymous memory is this. */
const every5 = (from: number, ...sizes: readonly number[]) =>
  sizes.map((size, index) => sample(from + 5 * index, { anonymous: size }));

describe('growth before the last sample', () => {
  test('is the largest rise of each category, with its owner and time', () => {
    const samples = every5(1000, 100, 90, 90, 200, 400, 390);
    const holders = [list(1010, holder('7', 20), holder('8', 50)), list(1020, holder('7', 310), holder('8', 60))];
    expect(recordedGrowth({ samples, holders }, 600)).toEqual([
      {
        category: 'anonymous',
        beforeBytes: 90 * MIB,
        bytes: 400 * MIB,
        seconds: 10,
        endedSeconds: 5,
        owner: { ...holder('7', 310), grownBytes: 290 * MIB, share: 290 / 310 },
      },
    ]);
  });

  test('only samples within the time count', () => {
    const samples = [sample(100, { anonymous: 0 }), ...every5(1000, 500, 510)];
    expect(recordedGrowth({ samples, holders: [] }, 600)).toMatchObject([
      { beforeBytes: 500 * MIB, bytes: 510 * MIB, owner: null },
    ]);
    expect(recordedGrowth({ samples: every5(1, 5, 4, 3), holders: [] }, 600)).toEqual([]);
    expect(recordedGrowth({ samples: [], holders: [] }, 600)).toEqual([]);
  });

  test('unattributed memory does not grow when a counter cannot be read', () => {
    const samples = [
      sample(1000, { unattributed: 10, balloon: 500, 'zfs-arc': 0 }),
      sample(1005, { unattributed: 510, 'zfs-arc': 0 }),
      // A counter of nothing is none that is missed.
      sample(1010, { unattributed: 90, balloon: 500 }),
    ];
    expect(recordedGrowth({ samples, holders: [] }, 600)).toMatchObject([
      { category: 'unattributed', beforeBytes: 10 * MIB, bytes: 90 * MIB, seconds: 10 },
    ]);
  });

  test('a clock that is set changes nothing', () => {
    const samples = [
      sample(1000, { anonymous: 100 }),
      sample(1005, { anonymous: 200 }, { at: new Date(5).toISOString() }),
      sample(1010, { anonymous: 300 }, { at: new Date(9e12).toISOString() }),
    ];
    expect(recordedGrowth({ samples, holders: [] }, 600)).toMatchObject([{ seconds: 10, bytes: 300 * MIB }]);
  });

  test('a process that began after the first list grew from nothing, one that was too small to be listed from the least', () => {
    const samples = every5(1000, 100, 200, 300);
    const full = Array.from({ length: MAX_HOLDERS }, (_, index) => holder(`${100 + index}`, 5));
    const ownerOf = (one: RecordedHolder) =>
      recordedGrowth({ samples, holders: [list(1000, ...full), list(1010, one)] }, 600)[0]?.owner?.grownBytes;
    expect(ownerOf(holder('7', 150, { beganSeconds: 1004 }))).toBe(150 * MIB);
    expect(ownerOf(holder('7', 150))).toBe(145 * MIB);
    // A record that had no room for it.
    const cut = { ...list(1000, holder('8', 90)), unlistedBytes: 80 * MIB };
    const [grown] = recordedGrowth({ samples, holders: [cut, list(1010, holder('7', 150))] }, 600);
    expect(grown?.owner).toMatchObject({ grownBytes: 70 * MIB, share: 70 / 200 });
    // The same pid with another start is another process.
    expect(ownerOf(holder('100 9', 150, { beganSeconds: 1004 }))).toBe(150 * MIB);
  });

  test('an owner that grew by more than its category has no share of that: others shrank', () => {
    const samples = every5(1000, 100, 200, 300);
    const shareOf = (mib: number) =>
      recordedGrowth({ samples, holders: [list(1000), list(1010, holder('7', mib))] }, 600)[0]?.owner;
    expect(shareOf(210)).toMatchObject({ pid: 7, share: 1.05 });
    expect(shareOf(500)).toMatchObject({ pid: 7, grownBytes: 500 * MIB, share: null });
  });

  test('no owner is named without a quarter of the growth, of another category, or without two lists', () => {
    const samples = every5(1000, 100, 200, 300);
    const ownerOf = (...holders: readonly RecordedHolders[]) => recordedGrowth({ samples, holders }, 600)[0]?.owner;
    expect(ownerOf(list(1000), list(1010, holder('7', 49)))).toBeNull();
    expect(ownerOf(list(1000), list(1010, holder('7', 50)))?.pid).toBe(7);
    expect(ownerOf(list(1000), list(1010, holder('7', 500, { category: 'shared' })))).toBeNull();
    expect(ownerOf(list(1010, holder('7', 500)))).toBeNull();
  });

  test('sockets, files and pipes, which are not in each list, are named by what grew between their own lists', () => {
    const samples = every5(1000, 100, 200, 300, 400);
    const scanned = (uptime: number, scan: HolderScan, ...holders: readonly RecordedHolder[]) => ({
      ...list(uptime, ...holders.map((one) => ({ ...one, scan }))),
      scans: [scan],
    });
    const both = [list(1000), list(1015)];
    const ownerOf = (...holders: readonly RecordedHolders[]) => {
      const all = [...both, ...holders].toSorted((a, b) => a.uptimeSeconds - b.uptimeSeconds);
      const {
        pid = null,
        grownBytes = 0,
        bound = false,
      } = recordedGrowth({ samples, holders: all }, 600)[0]?.owner ?? {};
      return [pid, grownBytes / MIB, bound];
    };
    const [before, after] = [scanned(1005, 'sockets', holder('7', 500)), scanned(1014, 'sockets', holder('7', 590))];
    // What it held before is no growth.
    expect(ownerOf(before, after)).toEqual([7, 90, false]);
    // Of one list nothing is known but the size: the owner is possible.
    expect(ownerOf(after)).toEqual([7, 590, true]);
    expect(ownerOf(after, scanned(1012, 'files', holder('8', 10)))).toEqual([7, 590, true]);
    // What grew for certain is named first.
    const files = [scanned(1005, 'files', holder('8', 1)), scanned(1015, 'files', holder('8', 99))];
    expect(ownerOf(after, ...files)).toEqual([8, 98, false]);
    // A list of an hour ago is not that of the rise.
    expect(ownerOf(scanned(100, 'sockets', holder('7', 1)), after)).toEqual([7, 590, true]);
  });

  test('growth beside a list that was read after its sample is that until then', () => {
    const samples = every5(1000, 100, 200, 300, 400, 500);
    const read = (uptime: number, takenSeconds: number, mib: number) => ({
      ...list(uptime, holder('7', mib)),
      takenSeconds,
    });
    const shareOf = (...holders: readonly RecordedHolders[]) =>
      recordedGrowth({ samples, holders }, 600)[0]?.owner?.share;
    expect(shareOf(read(1000, 1004, 80), read(1015, 1016, 320))).toBeCloseTo(1);
    expect(shareOf(list(1000, holder('7', 80)), list(1015, holder('7', 320)))).toBeCloseTo(0.8);
    // After the last sample, and before the first, nothing is known.
    expect(shareOf(read(1000, 990, 0), read(1020, 1023, 400))).toBeCloseTo(1);
  });

  test('boots are apart', () => {
    const samples = [sample(1000, { anonymous: 1 }, { bootId: 'other' }), ...every5(5, 1, 2)];
    const holders = [list(5), { ...list(1000), bootId: 'other' }];
    const own = ofBoot({ samples, holders }, 'first');
    expect([own.samples.length, own.holders.length]).toEqual([2, 1]);
    expect(ofBoot({ samples, holders }, null)).toEqual({ samples: [], holders: [] });
    // Copies of records may come behind newer ones.
    const mixed = ofBoot({ samples: samples.toReversed(), holders: [] }, 'first');
    expect(mixed.samples.map(({ look: { machine } }) => machine.uptimeSeconds)).toEqual([5, 10]);
  });
});
