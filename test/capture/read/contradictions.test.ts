import { describe, expect, test } from 'vitest';
import { capturedAt } from '../../../src/app/kit/captured-source.js';
import { CapturedFiles } from '../../../src/capture/read/captured-files.js';
import { snapshotFiles } from '../../support/snapshot.js';

type Change = (files: Map<string, string>) => void;

const AUXV = Buffer.alloc(32);
AUXV.writeBigUInt64LE(6n, 0);
AUXV.writeBigUInt64LE(4096n, 8);

/** Warnings about a snapshot of two processes. */
function warnings(change: Change): string[] {
  const files = snapshotFiles([
    { pid: 1, comm: 'init', anonymous: 300 },
    { pid: 7, comm: 'grows', anonymous: 900 },
    { pid: 9, comm: 'later', anonymous: 40, later: true },
  ]);
  files.set(
    'sample-2/proc/meminfo',
    'MemTotal:       1024000 kB\nMemFree:         512000 kB\nShmem:             1000 kB\n' +
      'Buffers:           1000 kB\nCached:          100000 kB\nSwapCached:            0 kB\nAnonPages:       200000 kB\n' +
      'PageTables:         400 kB\nSwapTotal:             0 kB\nSwapFree:              0 kB\n',
  );
  files.set(
    'sample-2/proc/vmstat',
    'nr_free_pages 128000\nnr_shmem 250\nnr_file_pages 25250\nnr_swapcached 0\nnr_anon_pages 50000\n',
  );
  files.set(
    'sample-2/proc/zoneinfo',
    'Node 0, zone   Normal\n  pages free     128000\n        present  256000\n        managed  256000\n',
  );
  change(files);
  const captured = new CapturedFiles([...files, ['manifest', 'whole 0\n'], ['proc/self/auxv', AUXV]]);
  return capturedAt(captured, 'last')
    .warnings.filter(({ code }) => code === 'corrupt')
    .map(({ message }) => message);
}

const edit =
  (name: string, pattern: string | RegExp, by: string): Change =>
  (files) => {
    const text = files.get(name) ?? '';
    const changed = text.replace(pattern, by);
    expect(changed).not.toBe(text);
    files.set(name, changed);
  };
/** Removes the lines of a process. */
const without = (name: string, pid: number) => edit(name, new RegExp(`^/proc/${pid}/.*\n`, 'gm'), '');

test('reports no contradiction in an intact snapshot, or with uninitialized memory', () => {
  expect(warnings(() => undefined)).toEqual([]);
  const late: Change = (files) => {
    edit('sample-2/proc/zoneinfo', 'managed  256000', 'managed  156000')(files);
    edit('sample-2/proc/vmstat', 'nr_free_pages 128000', 'nr_free_pages 28000')(files);
  };
  expect(warnings(late)).toEqual([]);
  // Huge pages were counted apart before 4.8.
  const old = edit(
    'sample-2/proc/vmstat',
    'nr_anon_pages 50000',
    'nr_anon_pages 10240\nnr_anon_transparent_hugepages 78',
  );
  expect(warnings(old)).toEqual([]);
});

describe('names facts that contradict each other:', () => {
  test.each<[string, Change, RegExp]>([
    [
      'swap used and no swap',
      edit('sample-2/after', /VmSwap:\t +0 kB/, 'VmSwap:\t     400 kB'),
      /^pid 1 has 409600 bytes in swap, but SwapTotal is 0$/,
    ],
    [
      'swap in smaps_rollup and no swap',
      edit('sample-2/memory', 'rollup:Swap: 0 kB', 'rollup:Swap: 8 kB'),
      /in swap, but SwapTotal is 0$/,
    ],
    [
      'a swap area and no swap',
      (files) => files.set('proc/swaps', 'Filename Type Size Used Priority\n/dev/sda file 4 0 -2\n'),
      /^\/proc\/swaps lists swap areas/,
    ],
    [
      'page tables above MemTotal',
      edit('sample-2/proc/meminfo', 'PageTables:         400', 'PageTables:     2000000'),
      /^PageTables in \/proc\/meminfo exceeds MemTotal$/,
    ],
    [
      'page tables of a process above those of the machine',
      edit('sample-2/after', /VmPTE:\t +44 kB/, 'VmPTE:\t  500000 kB'),
      /^pid 1 has 512000000 bytes of page tables, but the machine only 409600$/,
    ],
    [
      'PSS above RSS',
      edit('sample-2/memory', 'rollup:Pss: 900 kB', 'rollup:Pss: 9000 kB'),
      /^pid 7 has a PSS of 9216000 bytes, but an RSS of 1024000$/,
    ],
    [
      'smaps_rollup twice',
      (files) => files.set('sample-2/memory', (files.get('sample-2/memory') ?? '').repeat(2)),
      /^duplicate smaps_rollup of pid 1$/,
    ],
    [
      'MemFree and vmstat',
      edit('sample-2/proc/vmstat', 'nr_free_pages 128000', 'nr_free_pages 28000'),
      /^MemFree is 524288000 bytes, but nr_free_pages in \/proc\/vmstat is 114688000$/,
    ],
    [
      'Shmem and vmstat',
      edit('sample-2/proc/vmstat', 'nr_shmem 250', 'nr_shmem 50000'),
      /^Shmem is 1024000 bytes, but nr_shmem in/,
    ],
    [
      'AnonPages and vmstat',
      edit('sample-2/proc/meminfo', 'AnonPages:       200000', 'AnonPages:       400000'),
      /^AnonPages is 409600000 bytes, but nr_anon_pages in \/proc\/vmstat is 204800000$/,
    ],
    [
      'Cached and vmstat',
      edit('sample-2/proc/meminfo', 'Cached:          100000', 'Cached:          0'),
      /^Cached and SwapCached and Buffers are 1024000 bytes, but nr_file_pages in/,
    ],
    [
      'SwapCached and vmstat',
      edit('sample-2/proc/vmstat', 'nr_swapcached 0', 'nr_swapcached 50000'),
      /^SwapCached is 0 bytes, but nr_swapcached in/,
    ],
    [
      'a process missing from two of three lists, which started before the first',
      (files) => {
        without('sample-1/before', 7)(files);
        without('sample-2/memory', 7)(files);
      },
      /^pid 7 started before the first sample but is missing from it$/,
    ],
    [
      'a process only in the list of memory',
      (files) => {
        without('sample-1/before', 7)(files);
        without('sample-2/after', 7)(files);
      },
      /^pid 7 is in the memory list but not in the state list$/,
    ],
    [
      'a process that exited, but is in the list of memory',
      (files) => {
        without('sample-1/before', 7)(files);
        without('sample-2/after', 7)(files);
        files.set('errors', '/proc/7/status\tgone\tthe process exited\n');
      },
      /^pid 7 is in the memory list but not in the state list$/,
    ],
    [
      'a process only in the first list, whose child still names it',
      (files) => {
        edit('sample-2/after', /(\/proc\/9\/status:)Tgid/, '$1PPid:\t7\n$1Tgid')(files);
        without('sample-2/after', 7)(files);
        without('sample-2/memory', 7)(files);
      },
      /^pid 7, the parent of pid 9, is missing from the state list$/,
    ],
  ])('%s', (_, change, words) => {
    const found = warnings(change);
    expect(found[0]).toMatch(words);
    expect(found.length).toBeLessThan(5);
  });
});

test('accepts a process that started after the list of states', () => {
  const began: Change = (files) => {
    for (const name of ['sample-1/before', 'sample-2/after']) without(name, 7)(files);
    edit('sample-2/namespaces', /.*\/proc\/7\/.*\n/g, '')(files);
  };
  expect(warnings(began)).toEqual([]);
});

test('accepts an unreadable process', () => {
  const unread: Change = (files) => {
    without('sample-2/memory', 7)(files);
    files.set('errors', '/proc/7/smaps_rollup\tdenied\n');
  };
  expect(warnings(unread)).toEqual([]);
});

test('reports a capture that lost a sample as incomplete', () => {
  const files = snapshotFiles([{ pid: 1, comm: 'init', anonymous: 300 }]);
  for (const name of files.keys()) if (name.startsWith('sample-2/')) files.delete(name);
  const { host } = capturedAt(new CapturedFiles(files), 'last');
  expect(host.damage).toContain('sample 2 is missing');
});
