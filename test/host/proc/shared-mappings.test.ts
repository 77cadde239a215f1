import { expect, test } from 'vitest';
import { ExhaustedError, HostError } from '../../../src/base/errors.js';
import { SharedMappings } from '../../../src/host/proc/shared-mappings.js';
import { madeSource } from '../../support/made-host.js';

const MIB = 2 ** 20;
const [MEMFD, ZERO, SHM] = ['0:1 5', '0:1 6', '0:20 7'];

const line = (range: string, device: string, inode: number, name: string) =>
  `${range} rw-s 00000000 ${device} ${inode}                          ${name}\n`;
const MAPS =
  '55d000000000-55d000001000 r-xp 00000000 08:01 9 /usr/bin/x\n7ff000000000-7ff000001000 rw-p 00000000 00:00 0\n' +
  line('7f0000000000-7f0040000000', '00:01', 5, '/memfd:a b (deleted)') +
  line('7f1000000000-7f1040000000', '00:01', 6, '/dev/zero (deleted)') +
  line('7f2000000000-7f2040000000', '00:14', 7, '/dev/shm/y') +
  line('7f3000000000-7f3040000000', '08:02', 8, '/dev/zero (deleted)');

function machine(changes: Readonly<Record<string, string>> = {}, facts: (path: string) => object | null = () => ({})) {
  const files: Record<string, string> = {
    '/proc/7/status': 'Name:\tx\nRssShmem:\t 900000 kB\n',
    '/proc/7/comm': 'x\n',
    '/proc/7/maps': MAPS,
    '/proc/7/mountinfo': '20 1 0:20 / /dev/shm rw - tmpfs t rw\n21 1 8:2 / /mnt rw - ext4 x rw\n',
    '/proc/8/status': 'Name:\tx\nRssShmem:\t 100 kB\n',
    '/proc/8/maps': MAPS,
    ...changes,
  };
  const inodes: Record<string, number> = { '7f0': 5, '7f1': 6, '7f2': 7 };
  return {
    ...madeSource({ files }),
    mappedFile: async (path: string) => {
      const inode = inodes[/map_files\/(\w{3})/.exec(path)?.[1] ?? ''] ?? 0;
      const more = facts(path);
      if (more === null) throw new HostError('denied', path);
      const known = { device: inode === 7 ? 20 : 1, inode, bytes: inode * 100 * MIB, isTmpfs: true };
      return { ...known, isFile: true, isFolder: false, ...more };
    },
  };
}

test('reads what the largest processes map: names, sizes, and not the files of disks', async () => {
  const found = await SharedMappings.read(machine());
  expect(found.unopened(new Set())).toEqual([
    { kind: 'file', name: 'memfd:a b', pid: 7, bytes: 500 * MIB, mapped: true, device: '0:1' },
    { kind: 'mapping', name: 'shared anonymous mapping', pid: 7, bytes: 600 * MIB, mapped: true, device: '0:1' },
    { kind: 'file', name: '/dev/shm/y', pid: 7, bytes: 700 * MIB, mapped: true, device: '0:20' },
  ]);
  expect(found.unopened(new Set([MEMFD!, ZERO!])).map(({ name }) => name)).toEqual(['/dev/shm/y']);
  for (const key of [MEMFD, ZERO, SHM]) expect(found.isMapped(key!, MIB)).toBe(true);
  expect(found.isMapped('0:1 99', 2000 * MIB)).toBe(false);
  expect(found.unknownBytes).toBe(0);
  expect(found.bytesOf(new Set([7, 8]))).toBe(1800 * MIB);
  expect(found.bytesOf(new Set([8]))).toBe(0);
});

test('pages that a process maps several times are in its memory once', async () => {
  const again = line('7f4000000000-7f4040000000', '00:01', 5, '/memfd:a b (deleted)');
  const rss = 3000 * MIB;
  const once = await SharedMappings.read(machine());
  const found = await SharedMappings.read(machine({ '/proc/7/maps': MAPS + again }));
  expect(found.distinctOf(7, rss)).toBe(1800 * MIB);
  expect(found.distinctOf(7, 5 * MIB)).toBe(5 * MIB);
  // RSS that no repeated mapping accounts for contradicts the sizes of the files: it is not reduced.
  expect(once.distinctOf(7, rss)).toBe(rss);
});

test.each([
  ['permission denied', () => null],
  ['the range is of another file by now', () => ({ inode: 99 })],
])('without sizes, the memory is of unknown owners, and known to be mapped: %s', async (_, facts) => {
  const found = await SharedMappings.read(machine({}, facts));
  expect(found.unopened(new Set())).toEqual([]);
  expect(found.isMapped(MEMFD!, 500 * MIB)).toBe(true);
  expect(found.unknownBytes).toBe(900_000 * 1024);
  expect(found.bytesOf(new Set([7]))).toBeUndefined();
});

test('huge pages of hugetlb are not listed', async () => {
  const found = await SharedMappings.read(machine({}, () => ({ isTmpfs: false })));
  expect(found.unopened(new Set())).toEqual([]);
});

test('where maps are not readable, it is unknown whether a file is mapped, unless the RSS is too small', async () => {
  const source = machine();
  const blocked = async () => {
    throw new HostError('blocked', 'maps');
  };
  const found = await SharedMappings.read({ ...source, readSlowText: blocked });
  expect(found.isMapped(MEMFD!, 500 * MIB)).toBeUndefined();
  expect(found.isMapped(MEMFD!, 5000 * MIB)).toBe(false);
  expect(found.unknownBytes).toBe(900_000 * 1024);
  const exhausted = async () => {
    throw new ExhaustedError('no descriptor is left');
  };
  expect((await SharedMappings.read({ ...source, readSlowText: exhausted })).unknownBytes).toBe(900_000 * 1024);
});

test.each([
  ['is missing', ''],
  ['is too small', 'RssShmem:\t 90 kB\n'],
])('the mappings are read if RssShmem %s: VmRSS has all parts', async (_, line) => {
  const status = `Name:\tx\nVmRSS:\t 905000 kB\nRssAnon:\t 3000 kB\nRssFile:\t 2000 kB\n${line}`;
  const found = await SharedMappings.read(machine({ '/proc/7/status': status }));
  expect(found.isMapped(MEMFD!, MIB)).toBe(true);
});

test('a pool of workers does not hide another program, and the number of reads is bounded', async () => {
  const files: Record<string, string> = {};
  for (let pid = 1; pid <= 200; pid++) {
    files[`/proc/${pid}/status`] = `Name:\tx\nRssShmem:\t ${pid === 9 ? 20_000 : 900_000} kB\n`;
    files[`/proc/${pid}/comm`] = pid === 9 ? 'other\n' : 'postgres\n';
    files[`/proc/${pid}/maps`] = pid === 9 ? line('7f1000000000-7f1040000000', '00:01', 6, '/dev/zero (deleted)') : '';
  }
  const source = machine(files);
  const found = await SharedMappings.read(source);
  expect(found.isMapped(ZERO!, MIB)).toBe(true);
  expect([...source.asked].filter((path) => path.endsWith('/maps'))).toHaveLength(64);
  expect(found.unknownBytes).toBe((200 - 64) * 900_000 * 1024);
});
