import { closeSync, mkdtempSync, openSync, rmSync, unlinkSync, writeFileSync, writeSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HostError } from '../../../src/base/errors.js';
import type { HostSource, TmpfsUse } from '../../../src/host/host-source.js';
import { liveHost } from '../../../src/host/live.js';
import { filesInMemoryLines, sharedFiles as listed } from '../../../src/host/proc/shared-files.js';

const MIB = 2 ** 20;
const sharedFiles = (source: HostSource, onMissing: (why: string) => void = () => {}) => listed(source, onMissing);

describe('on this machine', () => {
  let folder: string;
  let deleted: number;

  beforeAll(() => {
    folder = mkdtempSync('/dev/shm/kdump-mem-');
    writeFileSync(join(folder, 'closed'), Buffer.alloc(5 * MIB));
    deleted = openSync(join(folder, 'gone'), 'w');
    writeSync(deleted, Buffer.alloc(7 * MIB));
    unlinkSync(join(folder, 'gone'));
  });

  afterAll(() => {
    closeSync(deleted);
    rmSync(folder, { recursive: true });
  });

  test('attributes a deleted file to the process that has it open, and any other to its path', () => {
    // The clock stands still: a scan has limited time. A file system that is mounted twice gives its files the name of either mount.
    const own = basename(folder);
    const found = sharedFiles({ ...liveHost, now: () => 0 }).flatMap(({ name, ...file }) => {
      const at = name.indexOf(`/${own}/`);
      return at < 0 ? [] : [{ ...file, name: name.slice(at) }];
    });
    expect(found).toMatchObject([
      { kind: 'file', name: `/${own}/gone (deleted)`, pid: process.pid, bytes: 7 * MIB },
      { kind: 'file', name: `/${own}/closed`, bytes: 5 * MIB },
    ]);
  });
});

/** A machine with these links of descriptors, texts and files. */
function host(parts: {
  readonly links?: Readonly<Record<string, string>>;
  readonly texts?: Readonly<Record<string, string>>;
  readonly files?: Readonly<
    Record<
      string,
      { inode: number; bytes: number; device?: number; isTmpfs?: boolean; isFile?: boolean; isFolder?: boolean }
    >
  >;
  /** Use of each tmpfs by the path of its mount point. */
  readonly mounted?: Readonly<Record<string, TmpfsUse & { readonly device?: number }>>;
  readonly denied?: readonly string[];
  readonly now?: () => number;
}): HostSource {
  const { links = {}, texts = {}, files = {}, mounted = {}, denied = [], now = () => 0 } = parts;
  const of = <T>(all: Readonly<Record<string, T>>, path: string): T => {
    if (denied.includes(path)) throw new HostError('denied', path);
    const found = all[path];
    if (found === undefined) throw new HostError('gone', `${path}: not found`);
    return found;
  };
  const names = (path: string) => {
    const all = [...Object.keys(links), ...Object.keys(texts), ...Object.keys(files)];
    const folder = path === '/' ? path : `${path}/`;
    const below = all.filter((name) => name.startsWith(folder));
    return [...new Set(below.map((name) => name.slice(folder.length).split('/')[0]!))];
  };
  return {
    now,
    list: names,
    readLink: (path: string) => of(links, path),
    size: () => 0,
    readText: (path: string) => of(texts, path),
    tmpfs: (path: string) => mounted[path] ?? (of(files, path).isTmpfs ? { used: null, limit: null } : null),
    file: (path: string) =>
      mounted[path]
        ? { device: mounted[path].device ?? 1, inode: 1, bytes: 0, isFile: false, isFolder: true }
        : { device: 1, isFile: true, isFolder: false, ...of(files, path) },
  } as unknown as HostSource;
}

const MOUNTS = '20 1 0:1 / /dev/shm rw - tmpfs tmpfs rw\n21 1 0:21 / /nfs rw - nfs server:/ rw\n';
const UNLIMITED = { used: null, limit: null };

test('counts a memfd once, with one of its processes', () => {
  const memfd = { inode: 5, bytes: 400 * MIB, isTmpfs: true };
  const found = sharedFiles(
    host({
      links: { '/proc/7/fd/3': '/memfd:cache (deleted)', '/proc/9/fd/4': '/memfd:cache (deleted)' },
      files: { '/proc/7/fd/3': memfd, '/proc/9/fd/4': memfd },
    }),
  );
  expect(found).toEqual([{ kind: 'file', name: 'memfd:cache', pid: 7, bytes: 400 * MIB }]);
});

describe('a memfd that only a thread has open', () => {
  const memfd = { inode: 5, bytes: 400 * MIB, isTmpfs: true };
  const of = (shmem: number, links = {}) => ({
    links: { '/proc/7/fd/0': '/dev/null', '/proc/7/task/9/fd/3': '/memfd:own (deleted)', ...links },
    texts: { '/proc/meminfo': `Shmem: ${shmem * 1024} kB\n`, '/proc/7/task/7/comm': 'a\n' },
    files: Object.fromEntries(['/proc/7/fd/3', '/proc/7/task/9/fd/3'].map((path) => [path, memfd])),
  });
  const found = { kind: 'file', name: 'memfd:own', pid: 7, bytes: 400 * MIB };

  test('has its process, if a large part of Shmem has no owner', () => {
    expect(sharedFiles(host(of(400)))).toEqual([found]);
    expect(recorded(filesInMemoryLines(host(of(400)), (name) => name)).files).toEqual([found]);
    // Tables of threads are not read without need.
    expect(sharedFiles(host(of(30)))).toEqual([]);
  });

  test('counts once if the process has it too', () => {
    expect(sharedFiles(host(of(900, { '/proc/7/fd/3': '/memfd:own (deleted)' })))).toEqual([found]);
  });
});

test('excludes huge pages of hugetlb', () => {
  const links = { '/proc/7/fd/3': '/memfd:huge (deleted)' };
  expect(sharedFiles(host({ links, files: { '/proc/7/fd/3': { inode: 5, bytes: MIB } } }))).toEqual([]);
});

test('does not access a file system that may not respond', () => {
  const paths: string[] = [];
  const source = host({
    links: { '/proc/7/fd/3': '/nfs/x (deleted)', '/proc/7/fd/4': '/dev/shm/y (deleted)' },
    texts: {
      '/proc/self/mountinfo': MOUNTS,
      '/proc/7/fdinfo/3': 'pos:\t0\nmnt_id:\t21\n',
      '/proc/7/fdinfo/4': 'pos:\t0\nmnt_id:\t20\n',
    },
    files: { '/proc/7/fd/4': { inode: 6, bytes: 2 * MIB } },
  });
  const file = (path: string) => {
    paths.push(path);
    return source.file!(path);
  };
  expect(sharedFiles({ ...source, file })).toEqual([
    { kind: 'file', name: '/dev/shm/y (deleted)', pid: 7, bytes: 2 * MIB, mount: '/dev/shm' },
  ]);
  expect(paths).toEqual(['/proc/7/fd/4', '/dev/shm']);
});

test('attributes a System V segment to its creator, and reports damaged lines', () => {
  const heading = 'key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime rss swap';
  const line = '0 32769 600 9437184 77 78 0 0 0 0 0 0 0 0 8388608 1048576';
  const damaged = ['', '0 5 600 1', line.replace('8388608', '-'), `${line} 1`];
  const texts = { '/proc/sysvipc/shm': [heading, line, ...damaged, line].join('\n') };
  const missing: string[] = [];
  expect(sharedFiles(host({ texts }), (why) => missing.push(why))).toEqual([
    { kind: 'segment', name: 'SysV segment 32769', pid: 77, bytes: 9 * MIB, mapped: false },
  ]);
  expect(missing).toContain('malformed /proc/sysvipc/shm (4 lines)');
});

test('a System V segment larger than memory and swap is not read', () => {
  const line = `0 7 600 9437184 77 78 0 0 0 0 0 0 0 0 ${2 ** 52} 0`;
  const missing: string[] = [];
  const texts = { '/proc/sysvipc/shm': `heading\n${line}`, '/proc/meminfo': 'MemTotal: 4194304 kB\nSwapTotal: 0 kB\n' };
  expect(sharedFiles(host({ texts }), (why) => missing.push(why))).toEqual([]);
  expect(missing).toContain('SysV segment 7: 4.00 PiB, more than this machine has (6.00 GiB)');
  // Of many, only some are named.
  const several = [7, 8, 9, 10, 11].map((id) => line.replace(/^0 7 /, `0 ${id} `)).join('\n');
  missing.length = 0;
  sharedFiles(host({ texts: { ...texts, '/proc/sysvipc/shm': `heading\n${several}` } }), (why) => missing.push(why));
  expect(missing.filter((why) => why.includes('this machine has'))).toEqual([
    ...[7, 8, 9].map((id) => `SysV segment ${id}: 4.00 PiB, more than this machine has (6.00 GiB)`),
    '2 others, each more than this machine has',
  ]);
});

test.each([
  ['attached last', '1700000000 1600000000', 78],
  ['detached since: the last pid did that', '1700000000 1700000001', null],
  ['both in one second: the order is unknown', '1700000000 1700000000', null],
])('reports the last attach of a segment, %s', (_, times, pid) => {
  const line = `0 7 600 9437184 77 78 1 0 0 0 0 ${times} 0 9437184 0`;
  const [segment] = sharedFiles(host({ texts: { '/proc/sysvipc/shm': `heading\n${line}` } }));
  expect(segment?.attached).toEqual({ at: new Date(1700000000000), pid });
});

test('stops a scan at its time limit, with the results so far', () => {
  let time = 0;
  const links = Object.fromEntries(
    Array.from({ length: 50 }, (_, fd) => [`/proc/7/fd/${fd + 10}`, `/memfd:${fd} (deleted)`]),
  );
  const files = Object.fromEntries(
    Object.keys(links).map((path, inode) => [path, { inode, bytes: MIB, isTmpfs: true }]),
  );
  const missing: string[] = [];
  const texts = { '/proc/1/comm': '', '/proc/self/mountinfo': MOUNTS };
  const source = host({ links, texts, files, now: () => (time += 200) });
  const found = sharedFiles(source, (why) => missing.push(why));
  expect(missing).toEqual(['descriptors and tmpfs mounts: only a part was read in 1 s']);
  expect(found.length).toBeGreaterThan(0);
  expect(found.length).toBeLessThan(10);
});

test('lists files of a first root in memory, without its mounts', () => {
  const found = sharedFiles(
    host({
      texts: {
        '/proc/self/mountinfo': '1 1 0:1 / / rw - rootfs rootfs rw\n21 1 0:21 / /nfs rw - nfs server:/ rw\n',
        '/bin/program': '',
        '/nfs/x': '',
      },
      files: {
        '/bin/program': { inode: 5, bytes: 2 * MIB },
        '/bin': { inode: 6, bytes: 0, isFile: false, isFolder: true },
        '/nfs': { inode: 7, bytes: 0, isFile: false, isFolder: true },
        '/nfs/x': { inode: 8, bytes: 4 * MIB },
      },
      mounted: { '/': UNLIMITED },
    }),
  );
  expect(found).toEqual([{ kind: 'file', name: '/bin/program', bytes: 2 * MIB, mount: '/' }]);
});

test('a mount that another covers is not listed', () => {
  const mounts = '1 1 0:2 / / rw - rootfs rootfs rw\n20 1 8:1 / / rw - ext4 /dev/sda1 rw\n';
  const texts = { '/proc/self/mountinfo': mounts };
  const files = { '/program': { inode: 5, bytes: 2 * MIB } };
  expect(sharedFiles(host({ texts, files }))).toEqual([]);
});

/** A snapshot of a host without segments. */
function recorded(filesInMemory?: string) {
  const { file: _, ...captured } = host({});
  const missing: string[] = [];
  const files = sharedFiles({ ...captured, filesInMemory }, (why) => missing.push(why));
  return { files, missing };
}

test('reads the same files from a snapshot, whatever their names contain', () => {
  const source = host({
    links: { '/proc/7/fd/3': '/memfd:a\n5 8 b (deleted)' },
    texts: { '/proc/self/mountinfo': MOUNTS, '/proc/1/comm': 'init\n' },
    files: { '/proc/7/fd/3': { inode: 5, bytes: 2 * MIB, isTmpfs: true } },
  });
  const text = filesInMemoryLines(source, (name) => name);
  expect(recorded(text)).toEqual({ files: sharedFiles(source), missing: [] });
  expect(recorded(text).files).toMatchObject([{ name: 'memfd:a\n5 8 b', pid: 7 }]);
});

test.each([
  ['no list', undefined, 0, 'does not list files in memory'],
  ['a truncated list', `${MIB} 7 memfd:a\n`, 1, 'malformed or truncated'],
  ['another number of files', `${MIB} 7 memfd:a\nend 2\n`, 1, 'malformed or truncated'],
  ['a malformed line', `${MIB} 7 memfd:a\n1 x y\nend 2\n`, 1, 'malformed or truncated'],
  ['a line after the end', `end 0\n${MIB} 7 memfd:a\n`, 1, 'malformed or truncated'],
  ['a reason', 'missing descriptors: only a part was read in 1 s\nend 0\n', 0, 'only a part'],
  ['a hostile reason', 'missing \x1b[2J\nend 0\n', 0, 'the reason is malformed'],
])('reports that files may be missing from a snapshot: %s', (_, text, count, why) => {
  const { files, missing } = recorded(text);
  expect(files).toHaveLength(count);
  expect(missing).toEqual([expect.stringContaining(why)]);
});

test('reports what may not be listed: descriptors, folders, mounts and other processes', () => {
  const denied = ['/proc/7/fd', '/proc/9/fd', '/dev/shm/private'];
  const missingIn = (texts: Readonly<Record<string, string>>): string[] => {
    const files = { '/dev/shm/private': { inode: 5, bytes: 0, isFile: false, isFolder: true } };
    const source = host({ texts, files, mounted: { '/dev/shm': UNLIMITED } });
    const list = (path: string) => {
      if (denied.includes(path)) throw new HostError('denied', path);
      return source.list(path);
    };
    const missing: string[] = [];
    sharedFiles({ ...source, list }, (why) => missing.push(why));
    return missing;
  };
  const processes = { '/proc/7/comm': '', '/proc/9/comm': '' };
  expect(missingIn({ ...processes, '/proc/1/comm': '', '/proc/self/mountinfo': MOUNTS })).toEqual([
    'descriptors of 2 processes: permission denied',
    '1 folder of tmpfs: permission denied',
  ]);
  expect(missingIn({ '/proc/7/comm': '' })).toEqual([
    'descriptors of 1 process: permission denied',
    'tmpfs mounts: mountinfo is not readable',
    'not all processes are visible (hidepid, or a pid namespace)',
  ]);
});

describe('tmpfs of other mount namespaces', () => {
  const links = { '/proc/self/ns/mnt': 'mnt:[1]', '/proc/1/ns/mnt': 'mnt:[1]', '/proc/40/ns/mnt': 'mnt:[2]' };
  const texts = {
    '/proc/1/comm': 'init\n',
    '/proc/self/mountinfo':
      '20 1 0:1 / /srv/root/dev/shm rw - tmpfs tmpfs rw\n21 1 0:1 / /dev/shm rw - tmpfs tmpfs rw\n',
    '/proc/40/mountinfo':
      '30 1 0:50 / / rw - overlay overlay rw\n31 30 0:2 / /data rw - tmpfs tmpfs rw\n32 30 0:1 / /x rw - tmpfs t rw\n',
  };
  const data = { used: 500 * MIB, limit: 600 * MIB, device: 2 };
  const mounted = { '/dev/shm': UNLIMITED, '/srv/root/dev/shm': UNLIMITED, '/proc/40/root/data': data };
  const files = { '/proc/40/root/data/big': { inode: 9, bytes: 300 * MIB, device: 2 } };
  const rest = { kind: 'tmpfs', name: 'tmpfs /data', mount: '/data', inside: 40, limit: 600 * MIB };

  test('are sized once for each device: the files that are listed, and the rest', () => {
    expect(sharedFiles(host({ links, texts, files, mounted }))).toEqual([
      { kind: 'file', name: '/data/big', bytes: 300 * MIB, mount: '/data', inside: 40 },
      { ...rest, bytes: 200 * MIB },
    ]);
  });

  test('have their size even if no folder of them can be listed', () => {
    const missing: string[] = [];
    const found = sharedFiles(host({ links, texts, mounted, denied: [] }), (why) => missing.push(why));
    expect(found).toEqual([{ ...rest, bytes: 500 * MIB }]);
  });

  test('do not contain files that are only mapped: these have their process', () => {
    const gone = { kind: 'file', name: '/data/gone (deleted)', pid: 41, bytes: 150 * MIB, mapped: true } as const;
    const mappings = (unknown: number) => ({
      isMapped: (key: string) => key === '0:2 9',
      unopened: () => [{ ...gone, device: '0:2' }],
      mayMap: (bytes: number) => unknown >= bytes,
    });
    const found = (unknown: number) => listed(host({ links, texts, files, mounted }), () => {}, mappings(unknown));
    expect(found(0)).toEqual([
      { kind: 'file', name: '/data/big', bytes: 300 * MIB, mount: '/data', inside: 40, mapped: true },
      gone,
      { ...rest, bytes: 50 * MIB, mapped: false },
    ]);
    expect(found(50 * MIB)).toContainEqual({ ...rest, bytes: 50 * MIB });
  });

  test('are the same in a snapshot', () => {
    const source = host({ links, texts, files, mounted });
    const text = filesInMemoryLines(source, (name) => name);
    expect(recorded(text)).toEqual({ files: sharedFiles(source), missing: [] });
  });

  test.each([
    ['behind FUSE', '30 1 0:50 / / rw - fuse.fuse-overlayfs x rw\n', '1 tmpfs behind a network or FUSE file system'],
    ['below NFS', '30 1 0:50 / / rw - ext4 x rw\n33 30 0:51 / /data rw - nfs4 x rw\n', '1 tmpfs behind'],
  ])('%s are not touched, and reported', (_, mounts, why) => {
    const paths: string[] = [];
    const point = mounts.includes('nfs') ? '/data/in' : '/data';
    const mountinfo = `${mounts}31 30 0:2 / ${point} rw - tmpfs tmpfs rw\n`;
    const source = host({ links, texts: { ...texts, '/proc/40/mountinfo': mountinfo }, files, mounted });
    const seen =
      <T>(of: (path: string) => T) =>
      (path: string) => {
        paths.push(path);
        return of(path);
      };
    const missing: string[] = [];
    const spied = { ...source, file: seen(source.file!), tmpfs: seen(source.tmpfs!), list: seen(source.list) };
    expect(sharedFiles(spied, (words) => missing.push(words))).toEqual([]);
    expect(missing).toEqual([expect.stringContaining(why)]);
    expect(paths.filter((path) => path.startsWith('/proc/40/root'))).toEqual([]);
  });

  test('that another mount covers are not taken for it', () => {
    const covered = { ...mounted, '/proc/40/root/data': { ...data, device: 3 } };
    expect(sharedFiles(host({ links, texts, files, mounted: covered }))).toEqual([]);
  });

  test('in several places are named by the shortest path in our own root', () => {
    const shm = { '/dev/shm/x': { inode: 4, bytes: 2 * MIB }, '/srv/root/dev/shm/x': { inode: 4, bytes: 2 * MIB } };
    expect(sharedFiles(host({ links, texts, files: shm, mounted }))).toMatchObject([
      { name: 'tmpfs /data' },
      { name: '/dev/shm/x', mount: '/dev/shm', bytes: 2 * MIB },
    ]);
    // A process in a chroot, or in a container, has it open under another name.
    for (const [pid, link, id] of [
      ['1', '/srv/root/dev/shm/x', 20],
      ['40', '/x/x', 32],
    ] as const) {
      const opened = host({
        links: { ...links, [`/proc/${pid}/fd/3`]: `${link} (deleted)` },
        texts: { ...texts, [`/proc/${pid}/fdinfo/3`]: `mnt_id:\t${id}\n` },
        files: { [`/proc/${pid}/fd/3`]: { inode: 4, bytes: 2 * MIB } },
        mounted,
      });
      expect(sharedFiles(opened).at(-1)).toMatchObject({
        name: '/dev/shm/x (deleted)',
        pid: Number(pid),
        mount: '/dev/shm',
      });
    }
  });
});

test.each([
  ['tmpfs 10 -@40 - ', 0],
  ['tmpfs 10 -@40 - /data', 1],
  ['tmpfs 10 -@40 x /data', 0],
  ['tmpfs 10 -@40 /data', 0],
  ['mapping 10 7m shared anonymous mapping', 1],
  ['mapping 10 7z x', 0],
  ['10 7u memfd:a', 1],
  ['10 7@x memfd:a', 0],
])('a damaged line of a snapshot is no file: %s', (line, count) => {
  const { files, missing } = recorded(`${line}\nend 1\n`);
  expect(files).toHaveLength(count);
  expect(missing).toHaveLength(1 - count);
});

describe('a tmpfs that was unmounted lazily', () => {
  const use = { used: 500 * MIB, limit: 600 * MIB, device: 50 };
  const found = {
    kind: 'tmpfs',
    name: 'tmpfs (unmounted)',
    mount: '(unmounted)',
    pid: 7,
    bytes: 500 * MIB,
    limit: 600 * MIB,
  };
  const texts = (bdis: readonly string[], shmem = 500) => ({
    '/proc/1/comm': 'init\n',
    '/proc/self/mountinfo': MOUNTS,
    '/proc/meminfo': `Shmem: ${shmem * 1024} kB\n`,
    '/proc/7/fdinfo/3': 'mnt_id:\t99\n',
    '/proc/7/fdinfo/4': 'mnt_id:\t21\n',
    ...Object.fromEntries(bdis.map((name) => [`/sys/class/bdi/${name}/read_ahead_kb`, '128\n'])),
  });
  const links = { '/proc/7/fd/3': '/', '/proc/7/fd/4': '/nfs/x', '/proc/7/fd/5': 'pipe:[5]', '/proc/7/cwd': '/' };
  const seen = (parts: Parameters<typeof host>[0]) => {
    const paths: string[] = [];
    const source = host({ links, ...parts });
    const tmpfs = (path: string) => {
      paths.push(path);
      return source.tmpfs!(path);
    };
    return { files: sharedFiles({ ...source, tmpfs }), paths: paths.filter((path) => path.startsWith('/proc/7')) };
  };

  test.each([
    ['an open folder', ['253:0', 'btrfs-1'], '/proc/7/fd/3', ['/proc/7/cwd', '/proc/7/fd/3']],
    ['an open folder, beside a mounted NFS', ['0:21'], '/proc/7/fd/3', ['/proc/7/fd/3']],
    ['a working folder', ['253:0'], '/proc/7/cwd', ['/proc/7/cwd', '/proc/7/fd/3']],
  ])('has its holder: %s', (_, bdis, at, touched) => {
    const { files, paths } = seen({ texts: texts(bdis), mounted: { [at]: use } });
    expect(files).toEqual([found]);
    expect(paths).toEqual(touched);
    const source = host({ links, texts: texts(bdis), mounted: { [at]: use } });
    expect(recorded(filesInMemoryLines(source, (name) => name)).files).toEqual([found]);
  });

  test.each([
    ['an NFS that is mounted nowhere might block', texts(['0:22']), use],
    ['an SMB share might', texts(['cifs-1']), use],
    ['the file systems are unknown', texts([]), use],
    ['Shmem is explained', texts(['253:0'], 10), use],
  ])('is not searched for if %s', (_, files, mounted) => {
    expect(seen({ texts: files, mounted: { '/proc/7/fd/3': mounted } })).toEqual({ files: [], paths: [] });
  });

  test('is not a mounted one, nor the kernel’s own, which has no limit', () => {
    for (const other of [
      { ...use, device: 1 },
      { ...UNLIMITED, device: 50 },
    ])
      expect(seen({ texts: texts(['253:0']), mounted: { '/proc/7/fd/3': other } }).files).toEqual([]);
  });
});
