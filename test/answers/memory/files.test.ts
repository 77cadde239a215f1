import { expect, test } from 'vitest';
import { chargedBytes, type FileFigures, fileName, filesIn } from '../../../src/account/memory/files.js';
import { cgroupsTable } from '../../../src/answers/memory/depths/cgroups.js';
import { filesTable } from '../../../src/answers/memory/depths/files.js';
import { memoryJson } from '../../../src/answers/memory/json.js';
import { memorySchema } from '../../../src/contracts/memory.js';
import { answerOf } from './answer.js';

const PAGE = 4096;

const file = (bytes: number, more: Partial<FileFigures>): FileFigures => ({
  bytes,
  pageCacheBytes: bytes,
  sharedBytes: 0,
  dirtyBytes: 0,
  writebackBytes: 0,
  path: null,
  mounts: null,
  blockDevice: null,
  deleted: false,
  mapped: false,
  fsType: 'ext4',
  device: '8:1',
  inode: '12',
  sizeBytes: bytes,
  activeBytes: null,
  cgroups: null,
  ...more,
});
const path = (name: string, mounts: 'init' | 'other' | 'none' = 'init') => ({ path: name, mounts });

const answer = {
  ...answerOf({ 'page-cache': 10 }),
  files: {
    files: [
      file(4 * PAGE, { ...path('/var/log/a\u001b[31m\nlog', 'other'), dirtyBytes: PAGE }),
      file(2 * PAGE, { blockDevice: 'sda1', fsType: 'bdev' }),
      file(PAGE, {}),
      file(PAGE, { ...path('/memfd:x', 'none'), deleted: true, pageCacheBytes: 0, sharedBytes: PAGE }),
    ],
    unnamed: [{ reason: 'unreadable', files: 1, bytes: 2 * PAGE, why: 'evil\u001b' }],
  },
} as const;

test('escapes names, and identifies a file without a name by its inode', () => {
  const text = filesTable(answer, { limit: 20, width: null });
  expect(text).not.toContain('\u001b');
  const names = text.split('\n').map((line) => line.split('  ')[0]);
  expect(names[0]).toBe('Largest file: /var/log/a\\x1b[31m\\x0alog, 16.0 KiB.');
  expect(names.slice(3, 7)).toEqual([
    '/var/log/a\\x1b[31m\\x0alog (in another mount namespace)',
    'sda1',
    'ext4 8:1 inode 12',
    '/memfd:x (deleted)',
  ]);
  expect(text).toContain('8.00 KiB in 1 inode: unreadable (evil\\x1b');
  expect(text).toContain('Total: 40.0 KiB of page cache and shared memory.');
});

test('reports the size of the files beyond the limit', () => {
  const text = filesTable(answer, { limit: 1, width: null });
  expect(text).toContain('3 more files with 16.0 KiB: --limit N lists them.');
});

test('JSON conforms to its schema; files that were not requested are null', () => {
  const json = memoryJson(answer);
  expect(memorySchema.parse(json)).toEqual(json);
  expect(json.files?.files[0]).toMatchObject({ path: '/var/log/a\u001b[31m\nlog', inode: '12' });
  expect(memoryJson(answerOf({})).files).toBeNull();
});

const charge = (name: string | null | undefined, pages: number, more = {}) => ({
  path: name ?? null,
  known: name !== undefined,
  dying: false,
  bytes: pages * PAGE,
  activeBytes: pages * PAGE,
  ...more,
});
const charged = {
  files: [
    file(9 * PAGE, { ...path('/a'), activeBytes: null, cgroups: [charge('/pods/2', 9)] }),
    file(4 * PAGE, {
      ...path('/b'),
      activeBytes: 3 * PAGE,
      cgroups: [
        charge('/pods/1/app\u001b', 2, { activeBytes: PAGE }),
        charge('/pods/1', 1, { dying: true, activeBytes: 0 }),
        charge(null, 1),
      ],
    }),
    file(PAGE, { ...path('/c'), deleted: true, cgroups: [charge('/pods/1', 1), charge(undefined, 8)] }),
  ],
  unnamed: [],
};

test('lists files of a cgroup and its descendants by the pages charged to it', () => {
  const files = filesIn(charged, '/pods/1/');
  expect(files.files.map((one) => [fileName(one), chargedBytes(one)])).toEqual([
    ['/b', 3 * PAGE],
    ['/c', PAGE],
  ]);
  const text = filesTable({ ...answer, files, inCgroup: '/pods/1' }, { limit: 20, width: null });
  expect(text).toMatch(/^\/b +12.0 KiB +4.00 KiB +16.0 KiB +\/pods\/1\/app\\x1b \(1 more\)$/m);
  expect(text).toContain('Deleted files: 4.00 KiB in 1.');
  expect(text).toContain('Total: 16.0 KiB charged to /pods/1 and below, 8.00 KiB of it active.');
  expect(filesIn(charged, '/').files).toHaveLength(3);
  expect(filesIn(charged, '/pods/10').files).toEqual([]);
});

test('the list of all files names the cgroup with the largest part; unknown activity is not zero', () => {
  const text = filesTable({ ...answer, files: charged }, { limit: 20, width: null });
  expect(text).toMatch(/^\/a +36.0 KiB +\? /m);
  expect(text).toMatch(/^\/b .*\/pods\/1\/app\\x1b \(2 more\)/m);
  expect(memorySchema.parse(memoryJson({ ...answer, files: charged })).files?.files).toMatchObject([
    { activeBytes: null },
    { cgroups: [{ known: true }, { dying: true }, { path: null, known: true }] },
    { cgroups: [{}, { path: null, known: false }] },
  ]);
});

test('names files that keep dying cgroups', () => {
  const cgroups = {
    uncharged: { bytes: 0, categories: [] },
    slabs: { bytes: 0, categories: [] },
    unnamed: [],
    empty: 0,
    cgroups: [
      {
        path: '/pods/1',
        dying: true,
        bytes: PAGE,
        categories: [],
        slabObjects: 0,
        slabObjectBytes: 0,
        usageBytes: null,
      },
    ],
  };
  const text = cgroupsTable({ ...answer, files: charged, cgroups }, { limit: 20, width: null });
  expect(text).toContain('Files that keep them: /b 4.00 KiB.');
});
