import { expect, test } from 'vitest';
import type { FileFigures } from '../../../src/account/memory/files.js';
import { filesTable } from '../../../src/answers/memory/depths/files.js';
import { memoryJson } from '../../../src/answers/memory/json.js';
import { memorySchema } from '../../../src/answers/memory/schema.js';
import { answerOf } from './answer.js';

const PAGE = 4096;

const file = (bytes: number, more: Partial<FileFigures>): FileFigures => ({
  bytes,
  cacheBytes: bytes,
  sharedBytes: 0,
  dirtyBytes: 0,
  writebackBytes: 0,
  path: undefined,
  blockDevice: undefined,
  deleted: false,
  mapped: false,
  fsType: 'ext4',
  device: '8:1',
  inode: 12n,
  size: bytes,
  ...more,
});
const path = (name: string, mounts: 'init' | 'other' | 'none' = 'init') => ({
  path: { path: name, mounts, deleted: false },
});

const answer = {
  ...answerOf({ 'page-cache': 10 }),
  files: {
    files: [
      file(4 * PAGE, { ...path('/var/log/a\u001b[31m\nlog', 'other'), dirtyBytes: PAGE }),
      file(2 * PAGE, { blockDevice: 'sda1', fsType: 'bdev' }),
      file(PAGE, {}),
      file(PAGE, { ...path('/memfd:x', 'none'), deleted: true, cacheBytes: 0, sharedBytes: PAGE }),
    ],
    unnamed: [{ reason: 'unreadable', files: 1, bytes: 2 * PAGE, why: 'evil\u001b' }],
  },
} as const;

test('names are escaped; what has none goes by its inode', () => {
  const text = filesTable(answer, { limit: 20, width: null });
  expect(text).not.toContain('\u001b');
  const names = text.split('\n').map((line) => line.split('  ')[0]);
  expect(names.slice(1, 5)).toEqual([
    '/var/log/a\\x1b[31m\\x0alog (in another mount namespace)',
    'sda1',
    'ext4 8:1 inode 12',
    '/memfd:x (deleted)',
  ]);
  expect(text).toContain('8.00 KiB in 1 inode: unreadable (evil\\x1b');
  expect(text).toContain('Total: 40.0 KiB of page cache and shared memory.');
});

test('what a limit leaves out is said in bytes', () => {
  const text = filesTable(answer, { limit: 1, width: null });
  expect(text).toContain('3 more files with 16.0 KiB: --limit N lists them.');
});

test('the JSON keeps its schema; files that were not asked for are null', () => {
  const json = memoryJson(answer);
  expect(memorySchema.parse(json)).toEqual(json);
  expect(json.files?.files[0]).toMatchObject({ path: '/var/log/a\u001b[31m\nlog', inode: '12' });
  expect(memoryJson(answerOf({})).files).toBeNull();
});
