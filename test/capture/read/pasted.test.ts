import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { leaves } from '../../../src/account/memory/tree.js';
import { memoryOfCapture } from '../../../src/app/memory/captured.js';
import { CapturedFiles } from '../../../src/capture/read/captured-files.js';
import { readCapture } from '../../../src/capture/read/files.js';
import { CapturedHost } from '../../../src/capture/read/host.js';
import { readPasted } from '../../../src/capture/read/pasted.js';
import { pastedFiles } from '../../../src/capture/read/saved-texts.js';
import { processesOfPs, readSosreport } from '../../../src/capture/read/sosreport.js';
import { slabLines } from '../../../src/host/proc/details.js';
import type { Pasted } from '../../../src/records/pasted.js';
import { sharedCase } from '../../support/shared-logs.js';

const folder = mkdtempSync(join(tmpdir(), 'pasted-'));
afterAll(() => rmSync(folder, { recursive: true }));

const readText = (text: string | Buffer): Pasted | undefined =>
  readPasted([{ name: 'text', bytes: Buffer.isBuffer(text) ? text : Buffer.from(text) }]);

/** Outputs in the form of each program, with figures of no real machine. */
const OUTPUTS: Readonly<Record<string, string>> = {
  '/proc/meminfo':
    'MemTotal:        8000000 kB\nMemFree:         1234568 kB\nMemAvailable:    3000000 kB\nBuffers:           20000 kB\n' +
    'Cached:          1500000 kB\nSwapCached:            0 kB\nActive(anon):    4000000 kB\nAnonPages:       3900000 kB\n' +
    'Shmem:            100000 kB\nSlab:            1000000 kB\nSReclaimable:     200000 kB\nSUnreclaim:       800000 kB\n' +
    'HugePages_Total:       0\nHugepagesize:       2048 kB\n',
  '/proc/vmstat':
    'nr_free_pages 308642\nnr_zone_inactive_anon 12\npgpgin 99\noom_kill 2\nthp_fault_alloc 5\nworkingset_refault_file 7\n',
  '/proc/zoneinfo':
    'Node 0, zone   Normal\n  per-node stats\n      nr_inactive_anon 17\n  pages free     308642\n        min      4096\n' +
    '        low      5120\n        high     6144\n        spanned  2097152\n        present  2097152\n        managed  2000000\n' +
    '        protection: (0, 0, 0)\n  pagesets\n    cpu: 0\n              count: 12\n              high:  378\n              batch: 63\n' +
    '  vm stats threshold: 36\n  start_pfn:           1048576\n',
  '/proc/slabinfo':
    'slabinfo - version: 2.1\n# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables\n' +
    'dentry            100000 105000    192   21    1 : tunables    0    0    0 : slabdata   5000   5000      0\n' +
    'kmalloc-512         6000   6400    512   32    4 : tunables    0    0    0 : slabdata    200    200      0\n',
  slabtop:
    ' Active / Total Objects (% used)    : 106000 / 111400 (95.2%)\n Active / Total Size (% used)       : 20000.00K / 23200.00K (86.2%)\n\n' +
    '  OBJS ACTIVE  USE OBJ SIZE  SLABS OBJ/SLAB CACHE SIZE NAME                   \n' +
    '105000 100000  95%    0.19K   5000       21     20000K dentry                 \n' +
    '  6400   6000  93%    0.50K    200       32      3200K kmalloc-512            \n',
  '/proc/buddyinfo': `Node 0, zone   Normal ${'    9'.repeat(11)} \nNode 0, zone    DMA32 ${'    7'.repeat(11)} \n`,
  '/proc/vmallocinfo':
    '0xffffa00000000000-0xffffa00000005000   20480 alloc_large+0x1/0x2 pages=4 vmalloc N0=4\n' +
    '0xffffa00000006000-0xffffa0000000b000   20480 dup_task_struct+0x1/0x2 pages=4 vmalloc\n',
  '/proc/net/sockstat':
    'sockets: used 300\nTCP: inuse 20 orphan 3 tw 1 alloc 40 mem 5000\nUDP: inuse 4 mem 2\nRAW: inuse 0\n',
  free:
    '               total        used        free      shared  buff/cache   available\n' +
    'Mem:         8000000     4265432     1234568      100000     2500000     3000000\nSwap:              0           0           0\n',
  'ps aux':
    'USER         PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND\n' +
    'root           1  0.0  0.1 168000 12000 ?        Ss   09:00   0:01 /sbin/init\n' +
    'www         4711 99.0 40.0 9000000 3200000 ?     Sl   09:01  10:00 /usr/bin/app --serve (x)\n',
  top:
    'top - 09:00:00 up 3 days,  1:02,  1 user,  load average: 0.00, 0.01, 0.05\n' +
    'Tasks: 100 total,   1 running,  99 sleeping,   0 stopped,   0 zombie\n' +
    '%Cpu(s):  1.0 us,  0.0 sy,  0.0 ni, 99.0 id,  0.0 wa,  0.0 hi,  0.0 si,  0.0 st\n' +
    'MiB Mem :   7812.5 total,   1205.6 free,   4000.0 used,   2441.4 buff/cache\n' +
    'MiB Swap:      0.0 total,      0.0 free,      0.0 used.   2929.7 avail Mem\n\n' +
    '    PID USER      PR  NI    VIRT    RES    SHR S  %CPU  %MEM     TIME+ COMMAND\n' +
    '   4711 www       20   0    8.6g   3.1g  20480 S  99.0  40.0  10:00.00 app\n' +
    '      2 root      20   0       0      0      0 S   0.0   0.0   0:00.01 kthreadd\n',
  ss:
    'Netid State  Recv-Q Send-Q Local Address:Port Peer Address:Port Process\n' +
    'tcp   ESTAB  4194304 0      10.0.0.5:8443    10.0.0.9:51514 users:(("app",pid=4711,fd=33))\n' +
    '\t skmem:(r6291456,rb6291456,t0,tb87040,f0,w0,o0,bl0,d12)\n' +
    'udp   UNCONN 0      0      0.0.0.0:53        0.0.0.0:*      users:(("dns",pid=50,fd=4))\n' +
    '\t skmem:(r0,rb212992,t0,tb212992,f0,w0,o0,bl0,d0)\n',
  lsmod:
    'Module                  Size  Used by\nhv_balloon             36864  0\nhv_vmbus              143360  2 hv_balloon,hv_netvsc\n',
  '/proc/PID/smaps_rollup':
    '555555554000-7ffffffff000 ---p 00000000 00:00 0                          [rollup]\nRss:              204800 kB\n' +
    'Pss:              102400 kB\nShared_Clean:          0 kB\nPrivate_Clean:      1024 kB\nPrivate_Dirty:     98304 kB\nSwap:                  0 kB\n',
  '/proc/PID/status':
    'Name:\tapp\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t4711\nPid:\t4711\nVmPeak:\t 9000000 kB\nVmRSS:\t 3200000 kB\nRssAnon:\t 3100000 kB\nThreads:\t7\n',
};
/** Stands for a process that the text does not name. */
const NO_PID = '4194305';
const NAMES = Object.keys(OUTPUTS);
const of = (name: string): string => OUTPUTS[name] ?? '';

/** Kinds found, and the files made of them. */
function content(text: string | Buffer) {
  const found = readText(text);
  return { kinds: found?.parts.map(({ kind }) => kind), files: new Map(found?.files), unknown: found?.unknownLines };
}

const quoted = (mark: string) => (text: string) => text.replace(/^/gm, mark);
const MUTILATIONS: readonly (readonly [name: string, change: (text: string) => string | Buffer])[] = [
  ['is indented', quoted('    ')],
  ['is indented by a tab', quoted('\t')],
  ['is quoted twice', quoted('> > ')],
  ['is in a fenced block', (text) => `\`\`\`console\n${text}\`\`\`\n`],
  ['has carriage returns', (text) => text.replaceAll('\n', '\r\n')],
  ['is UTF-16 of PowerShell', (text) => Buffer.from(`\ufeff${text}`, 'utf16le')],
  ['is UTF-16, big-endian', (text) => Buffer.from(`\ufeff${text}`, 'utf16le').swap16()],
  ['has NUL bytes', (text) => text.replaceAll('\n', '\0\n')],
  ['is coloured', (text) => text.replace(/^\S+/gm, (word) => `\x1b[1;32m${word}\x1b[0m`)],
  ['has no-break spaces', (text) => text.replaceAll(' ', '\u00a0')],
  ['lost its tabs', (text) => text.replaceAll('\t', ' ')],
  ['stands twice', (text) => text + text],
  [
    'is between sentences',
    (text) => `Hi all,\nmy server has no memory left. This is what I see:\n\n${text}\nAny ideas?\n`,
  ],
  ['has a prompt', (text) => `[root@web-7 ~]# uptime\n${text}[root@web-7 ~]# \n`],
];

describe.each(NAMES)('%s', (name) => {
  const plain = content(of(name));

  test('is recognized, whole', () => {
    expect(plain.kinds).toEqual([name]);
    expect(plain.unknown).toBe(0);
    expect(plain.files.size).toBeGreaterThan(0);
  });

  test.each(MUTILATIONS)('that %s has the same figures', (_, change) => {
    const { kinds = [], files } = content(change(of(name)));
    expect(new Set(kinds)).toEqual(new Set([name]));
    expect(files).toEqual(plain.files);
  });

  test('cut off at each byte contains no other figure', () => {
    const all = [...plain.files.values()].join('');
    const known = new Set(all.split('\n').flatMap((line) => line.match(/\d+/g) ?? []));
    for (let end = 1; end < of(name).length; end++) {
      const { files } = content(of(name).slice(0, end));
      // Sums of smaps_rollup have a heading of their own; sockets are numbered.
      for (const line of [...files.values()].join('').split('\n'))
        for (const figure of line.match(/\d+/g) ?? [])
          if (figure !== NO_PID) expect(known, `${end}: ${line}`).toContain(figure);
    }
  });

  test.each(NAMES.filter((other) => other !== name))('beside %s: each is read as alone', (other) => {
    const { kinds, files } = content(of(name) + of(other));
    expect(kinds).toEqual([name, other]);
    // Rounded figures yield to those of the kernel.
    const [first, second] = isRounded(other) ? [other, name] : [name, other];
    if (isRounded(name) && isRounded(other)) return;
    const together = new Map([...content(of(first)).files, ...content(of(second)).files]);
    for (const [file, text] of together)
      if (!file.endsWith('/comm') && !file.endsWith('/stat')) expect(files.get(file), file).toBe(text);
  });
});

const isRounded = (name: string) => ['slabtop', 'free', 'top'].includes(name);

describe('figures', () => {
  const inFolder = async (text: string) => {
    const path = join(folder, `${Math.random()}.txt`);
    writeFileSync(path, text);
    return { path, files: await readCapture(path) };
  };

  test('meminfo becomes a breakdown with unknown rows', async () => {
    const { path, files } = await inFolder(of('/proc/meminfo'));
    const { memory, complete } = memoryOfCapture(path, files);
    const bytes = (name: string) => leaves(memory).find(({ category }) => category === name)?.bytes;
    expect([memory.bytes, bytes('slab-unreclaimable'), complete]).toEqual([8_000_000 * 1024, 800_000 * 1024, false]);
  });

  test('slabtop has the bytes of slabinfo', () => {
    const [slabtop, slabinfo] = ['slabtop', '/proc/slabinfo'].map((name) => {
      const text = content(of(name)).files.get('proc/slabinfo') ?? '';
      return slabLines({ readText: () => text }).map(({ name: cache, used, slots, pagesPerSlab, slabs }) => [
        cache,
        used,
        slots,
        pagesPerSlab * slabs,
      ]);
    });
    expect(slabtop).toEqual(slabinfo);
  });

  test('ps and top list the same process', () => {
    const [ps, top] = ['ps aux', 'top'].map((name) =>
      processesOfPs(content(of(name)).files.get('sos_commands/process/ps_aux') ?? ''),
    );
    expect(ps?.processes.map(({ pid, comm, status }) => [pid, comm, status?.rss])).toEqual([
      [1, 'init', 12_000 * 1024],
      [4711, 'app', 3_200_000 * 1024],
    ]);
    expect(top?.processes.map(({ pid, comm, status }) => [pid, comm, status?.rss])).toEqual([
      [4711, 'app', Math.round(3.1 * 2 ** 20) * 1024],
    ]);
    expect(top?.kernelThreads).toBe(1);
  });

  test('ss without inodes keeps the owner of each socket', async () => {
    const { files } = await inFolder(
      of('ss')
        .replace(/^Netid /, '')
        .replace(/^tcp +/m, ''),
    );
    const host = new CapturedHost(files);
    let rows = '';
    await host.ss(['-H'], null, (bytes) => (rows += String(bytes)));
    const inode = / ino:(\d+) .*skmem:\(r6291456/.exec(rows)?.[1];
    expect(host.readLink('/proc/4711/fd/33')).toBe(`socket:[${inode}]`);
    expect(host.readText('/proc/4711/comm')).toBe('app\n');
  });

  test.each([
    ['free', 8_000_000 * 1024, ''],
    ['free -m', 7812 * 2 ** 20, ''],
    ['free -h', 7.6 * 2 ** 30, ''],
    ['free -g', 7 * 2 ** 30, '$ free -g\n'],
  ])('the unit of %s', (command, bytes, prompt) => {
    const cells: Readonly<Record<string, string>> = {
      free: '8000000 4265432 1234568 100000 2500000 3000000',
      'free -m': '7812 4165 1205 97 2441 2929',
      'free -h': '7.6Gi 4.1Gi 1.2Gi 97Mi 2.4Gi 2.9Gi',
      'free -g': '7 4 1 0 2 2',
    };
    const text = `${prompt} total used free shared buff/cache available\nMem: ${cells[command]}\nSwap: 0 0 0\n`;
    const total = /^MemTotal: (\d+) kB$/m.exec(content(text).files.get('proc/meminfo') ?? '')?.[1];
    expect(Number(total)).toBe(Math.round(bytes / 1024));
  });

  test('free with an unknown unit is not used', () => {
    const text = ' total used free shared buff/cache available\nMem: 503 101 300 7 102 399\nSwap: 0 0 0\n';
    expect(readText(text)?.parts[0]?.why).toMatch(/^its unit is unknown/);
  });
});

describe('a text of several machines', () => {
  test('with two amounts of memory: the second one is not used, and said', () => {
    const other = of('/proc/meminfo').replace('8000000', '16000000');
    const found = readText(`${of('/proc/meminfo')}$ ssh other cat /proc/meminfo\n${other}`);
    expect(found?.parts.map(({ why }) => why)).toEqual([
      null,
      'its MemTotal differs from that at line 1: another machine',
    ]);
    expect(found?.files.get('proc/meminfo')).toContain('MemTotal: 8000000 kB');
  });

  test('with caches larger than the slab counter: they are not used', () => {
    const slabtop = of('slabtop').replace('20000K dentry', '9000000K dentry').replace('5000       21', '2250000    21');
    const found = readText(of('/proc/meminfo') + slabtop);
    expect(found?.parts[1]?.why).toMatch(/^its caches have more memory than Slab/);
    expect(found?.files.has('proc/slabinfo')).toBe(false);
  });
});

describe('logs and prose are no pasted text', () => {
  const logs = readdirSync('fixtures/logs', { recursive: true, encoding: 'utf8', withFileTypes: true }).filter(
    (entry) => entry.isFile(),
  );

  test.each(logs.map(({ parentPath, path, name }) => join(parentPath ?? path, name)))('%s', (path) => {
    expect(readPasted([{ name: path, bytes: readFileSync(path) }])).toBeUndefined();
  });

  test.each(logs.filter(({ name }) => name.startsWith('oom-')).map(({ name }) => name))(
    '%s as dmesg prints it: memory.stat of a cgroup is one message, with one prefix',
    (name) => {
      const text = readFileSync(join('fixtures/logs', name), 'utf8')
        .replace(/^<\d>/gm, '')
        .replace(/^(\[ *[\d.]+\] )(?!anon )(?=[a-z]\w* \d+$)/gm, (prefix) => ' '.repeat(prefix.length));
      expect(text).toMatch(/\] anon \d+\n {10,}file \d+\n/);
      for (const shown of [text, text.replace(/^\[ *[\d.]+\] /gm, ''), text.slice(text.indexOf('] anon ') - 14)])
        expect(readText(shown)).toBeUndefined();
    },
  );

  test('prose, an empty text, and a program', () => {
    for (const text of [
      '',
      '\n\n',
      'MemTotal is high.\nWhat now?\n',
      '#include <stdio.h>\nint main(void) { return 0; }\n',
    ])
      expect(readText(text)).toBeUndefined();
  });
});

test('a kernel log between outputs stays a log', () => {
  const log = '[  100.000001] Out of memory: Killed process 4711 (app) total-vm:9000000kB, anon-rss:3100000kB\n';
  const found = readText(of('/proc/meminfo') + log + of('ps aux'));
  expect(found?.parts.map(({ kind }) => kind)).toEqual(['/proc/meminfo', 'ps aux']);
  expect([...(found?.logs ?? [])]).toEqual([['text', log]]);
});

test('a log with an output that is not used is a log', () => {
  const log = '[  100.000001] Linux version 6.1.0\n[  100.000002] x: y\n';
  expect(readText(`${log} PAGES        TOTAL      PERCENTAGE\n TOTAL MEM  1000  3.9 GB  ----\n`)).toBeUndefined();
});

test('several files are one text', async () => {
  const paths = ['/proc/meminfo', 'ps aux'].map((name, index) => {
    const path = join(folder, `part-${index}`);
    writeFileSync(path, of(name));
    return path;
  });
  const files = await pastedFiles(paths);
  expect(files?.pasted?.parts.map(({ kind, file }) => [kind, file])).toEqual([
    ['/proc/meminfo', paths[0]],
    ['ps aux', paths[1]],
  ]);
});

test('an output without use is refused by name', async () => {
  const path = join(folder, 'memleak.txt');
  writeFileSync(
    path,
    '[11:00:13] Top 10 stacks with outstanding allocations:\n\t4096 bytes in 1 allocations from stack\n\t\tmain+0x1 [app]\n',
  );
  await expect(readCapture(path)).rejects.toThrow('no part of the text is used (it contains memleak of bcc');
});

test('ten million lines are bounded', () => {
  const bytes = Buffer.from(of('/proc/vmstat') + 'pgfree 1\npgalloc 2\n'.repeat(5_000_000));
  const found = readPasted([{ name: 'text', bytes }]);
  expect([found?.cut, found?.parts.map(({ lines }) => lines)]).toEqual([['text'], [500_000]]);
});

test.runIf(sharedCase('what-people-paste'))('slabtop of a public report (skipped without shared cases)', async () => {
  const path = (name: string) => join(sharedCase('what-people-paste') ?? '', name);
  const slab = (await readCapture(path('slabtop.txt'))).get('proc/slabinfo') ?? '';
  const [most] = slabLines({ readText: () => slab });
  expect([most?.name, (most?.slabs ?? 0) * (most?.pagesPerSlab ?? 0) * 4096]).toEqual([
    'ebitmap_node',
    45_906_648 * 1024,
  ]);
});

/** What other versions of the programs print, by what is read of it. */
describe('other versions', () => {
  const PS_FILE = 'sos_commands/process/ps_aux';
  const FREE = 'total used free shared buffers cached\n';
  const processes = (text: string) =>
    processesOfPs(content(text).files.get(PS_FILE) ?? '').processes.map(({ pid, comm, status }) => [
      pid,
      comm,
      (status?.rss ?? 0) / 1024,
    ]);
  const memory = (text: string) => content(text).files.get('proc/meminfo')?.split('\n').slice(0, 2);

  test.each([
    [
      'free of procps 3.2',
      `             ${FREE}Mem:       8000000    7000000    1000000          0     100000    2000000\n-/+ buffers/cache:    4900000    3100000\nSwap:      2000000          0    2000000\n`,
      8_000_000,
      1_000_000,
    ],
    [
      'free of BusyBox',
      '              total        used        free      shared  buff/cache   available\nMem:        8000000     4000000     1000000       10000     3000000     3500000\nSwap:             0           0           0\n',
      8_000_000,
      1_000_000,
    ],
    [
      'free -h of BusyBox',
      'total used free shared buff/cache available\nMem: 7.5G 855.7M 2.0G 8.7M 4.5G 6.3G\nSwap: 0 0 0\n',
      7.5 * 2 ** 20,
      2 * 2 ** 20,
    ],
    [
      'free --si with its command',
      `$ free --si\n${FREE}Mem: 8192000 7168000 1024000 0 102400 2048000\n`,
      8_000_000,
      1_000_000,
    ],
    [
      'free --si -h with its command',
      `$ free --si -h\n${FREE}Mem: 8.0G 7.0G 1.0G 0B 102M 2.0G\n`,
      8e9 / 1024,
      1e9 / 1024,
    ],
    ['free --mega with its command', `$ free --mega\n${FREE}Mem: 8192 7168 1024 0 102 2048\n`, 8_000_000, 1_000_000],
    ['free --mebi with its command', `$ free --mebi\n${FREE}Mem: 8192 7168 1024 0 102 2048\n`, 2 ** 23, 2 ** 20],
    [
      'top of procps 3.2',
      'top - 09:00:00 up 3 days\nMem:   8000000k total,  7000000k used,  1000000k free,   100000k buffers\nSwap:  2000000k total,        0k used\n',
      8_000_000,
      1_000_000,
    ],
    [
      'top of procps 3.3.0',
      'top - 9:00:00 up 3 days\nKiB Mem:   8000000 total,  7000000 used,  1000000 free,   100000 buffers\n',
      8_000_000,
      1_000_000,
    ],
    [
      'top of procps 4.0.6',
      'top - 09:00:00 up 3 days,  0 users\nTasks: 96 total, 3 running, 93 sleep, 0 d-sleep, 0 stopped, 0 zombie\nMiB Mem :   7812.5 total,    976.6 free,   1214.2 used,   1483.0 buff/cache     \n',
      8_000_000,
      1_000_038,
    ],
    [
      'top of BusyBox',
      'Mem: 7000000K used, 1000000K free, 10000K shrd, 100000K buff, 2000000K cached\nCPU:  95% usr   5% sys   0% nic   0% idle   0% io   0% irq   0% sirq\nLoad average: 6.95 7.89 7.67 7/154 1619\n  PID  PPID USER     STAT   VSZ %VSZ %CPU COMMAND\n 1290  1289 root     R     436m   2%  50% node x\n',
      8_000_000,
      1_000_000,
    ],
  ])('%s', (_, text, total, free) => {
    expect(content(text).unknown).toBe(0);
    expect(memory(text)).toEqual([`MemTotal: ${Math.round(total)} kB`, `MemFree: ${Math.round(free)} kB`]);
  });

  test.each([
    ['kilobytes of 1000 or 1024 bytes', '8192002 7168000 1024000 0 102400 2048000'],
    ['mebibytes of a small machine, or gibibytes', '503 101 300 7 102 399'],
  ])('free without its command and unit: %s', (_, cells) => {
    expect(readText(`${FREE}Mem: ${cells}\n`)?.parts[0]?.state).toBe('unclear');
  });

  test('one row of slabtop', () => {
    const row = of('slabtop')
      .split(/^/m)
      .find((line) => line.includes('dentry'));
    expect(content(row ?? '')).toMatchObject({ kinds: ['slabtop'], unknown: 0 });
  });

  test('slabtop of procps 4.0.6, whose sizes have no unit', () => {
    const newest = of('slabtop').replace('20000K dentry', ' 20000 dentry').replace('3200K kmalloc', ' 3200 kmalloc');
    expect(content(newest).files).toEqual(content(of('slabtop')).files);
  });

  test.each([
    ['ps -eo pid,rss,comm', '  PID   RSS COMMAND\n    1 12000 systemd\n    2     0 kthreadd\n 4711 3200000 my app\n'],
    [
      'ps -eo user,pid,ppid,rss,args',
      'USER       PID  PPID   RSS COMMAND\nroot         1     0 12000 /sbin/systemd --x\nroot 2 0 0 [kthreadd]\nwww 4711 1 3200000 /usr/bin/my app\n',
    ],
    ['ps -eo rss,pid,cmd', '  RSS   PID CMD\n12000     1 /sbin/systemd\n3200000  4711 /usr/bin/my app\n'],
    [
      'ps -o pid,user,vsz,rss,args of BusyBox',
      'PID   USER     VSZ  RSS  COMMAND\n    1 root      46m 12000 systemd\n    2 root        0    0 [kthreadd]\n 4711 www      9g 3125m my app\n',
    ],
  ])('%s', (_, text) => {
    expect(content(text)).toMatchObject({ kinds: ['ps'], unknown: 0 });
    expect(processes(text)).toEqual([
      [1, 'systemd', 12_000],
      [4711, 'my', 3_200_000],
    ]);
    const beside = content(text + of('/proc/meminfo') + of('/proc/vmstat') + of('ss'));
    expect(beside.kinds).toEqual(['ps', '/proc/meminfo', '/proc/vmstat', 'ss']);
  });

  test.each([
    ['ps', 'PID TTY TIME CMD\n1 ? 00:00:01 init\n'],
    ['ps -ef', 'UID PID PPID C STIME TTY TIME CMD\nroot 1 0 0 04:01 ? 00:03:03 /sbin/init\n'],
    ['ps of BusyBox', 'PID   USER     TIME  COMMAND\n    1 root      0:01 /sbin/init\n'],
  ])('%s has no memory, and says so', (_, text) => {
    const parts = readText(text + of('/proc/meminfo'))?.parts;
    expect(parts?.map(({ kind, state }) => [kind, state])).toEqual([
      ['ps', 'unsupported'],
      ['/proc/meminfo', 'used'],
    ]);
  });

  test('ss before iproute2 3.19 names the same owners', () => {
    const old = of('ss').replace(/pid=(\d+),fd=(\d+)/g, '$1,$2');
    const ofText = (text: string) =>
      [...readSosreport(new CapturedFiles(content(text).files)).links].filter(([path]) => path.includes('/fd/'));
    expect(ofText(old)).toEqual(ofText(of('ss')));
    expect(ofText(old).length).toBe(2);
  });
});

describe.each(['fr', 'de', 'pl', 'uk', 'zh', 'ko', 'pt', 'ka'])('procps in another language: %s', (language) => {
  const lines = readFileSync(`fixtures/pasted/${language}.txt`, 'utf8').split(/^/m);
  const [free, wide, top] = [lines.slice(0, 3), lines.slice(3, 8), lines.slice(8)].map((each) => each.join(''));
  const figures = (text = '') =>
    Array.from(
      content(text)
        .files.get('proc/meminfo')
        ?.matchAll(/^(\w+): (\d+) kB$/gm) ?? [],
      ([, name, kib]) => [name, Number(kib)],
    );
  const [GIB, MIB] = [2 ** 20, 2 ** 10];

  test('free: memory and swap', () => {
    expect(content(free ?? '')).toMatchObject({ kinds: ['free'], unknown: 0 });
    expect(figures(free)).toEqual([
      ['MemTotal', 8_000_000],
      ['MemFree', 1_200_000],
      ['MemAvailable', 2_900_000],
      ['Shmem', 80_000],
      ['SwapTotal', 2_000_000],
      ['SwapFree', 1_500_000],
    ]);
    expect(readText(`Bonjour,\n> ${free?.replaceAll('\n', '\n> ')}\n`)?.parts).toMatchObject([{ line: 2, lines: 3 }]);
  });

  test('free -h -w -l: the same, rounded, beside low and high memory', () => {
    expect(figures(wide)).toEqual([
      ['MemTotal', Math.round(7.6 * GIB)],
      ['MemFree', Math.round(1.1 * GIB)],
      ['MemAvailable', Math.round(2.8 * GIB)],
      ['Buffers', 97 * MIB],
      ['Shmem', 78 * MIB],
      ['SwapTotal', Math.round(1.9 * GIB)],
      ['SwapFree', Math.round(1.4 * GIB)],
    ]);
  });

  test('top: memory, unless its unit is unknown, and the largest process', () => {
    expect(content(top ?? '')).toMatchObject({ kinds: ['top'], unknown: 0 });
    const { processes } = processesOfPs(content(top ?? '').files.get('sos_commands/process/ps_aux') ?? '');
    expect(processes.find(({ comm }) => comm === 'python3')?.status?.rss).toBe(Math.round(1.4 * GIB) * 1024);
    const known = [
      ['MemTotal', 8_000_000],
      ['MemFree', Math.round(1171.9 * MIB)],
      ['MemAvailable', 2832 * MIB],
      ['SwapTotal', Math.round(1953.1 * MIB)],
      ['SwapFree', Math.round(1464.8 * MIB)],
    ];
    expect(figures(top)).toEqual(language === 'ka' ? [] : known);
  });
});

describe('free and top in another language', () => {
  const meminfo = (text: string) => content(text).files.get('proc/meminfo')?.replaceAll(' kB\n', '; ');
  const HEADING = 'total utilis\u00e9 libre partag\u00e9 tampons cache\n';

  test('of procps before 3.3.10: the cache is used memory', () => {
    expect(
      meminfo(
        `${HEADING}Mem: 8000000 7000000 1000000 0 100000 2000000\n-/+ tampons/cache: 4900000 3100000\n\u00c9change: 4000 0 4000\n`,
      ),
    ).toBe('MemTotal: 8000000; MemFree: 1000000; Buffers: 100000; Shmem: 0; SwapTotal: 4000; SwapFree: 4000; ');
    expect(
      meminfo(
        'top - 9:00:00 up 3 days\nKiB Mem:   8000000 total,  7000000 util,  1000000 libr,   100000 tampons\nKiB \u00c9ch:  4000 total,  0 util,  4000 libr,  2000000 cache\n',
      ),
    ).toBe('MemTotal: 8000000; MemFree: 1000000; SwapTotal: 4000; SwapFree: 4000; ');
  });

  test('of a 32-bit machine: low and high memory are no swap', () => {
    const rows = 'Basse: 800000 600000 200000\nHaute: 7200000 4500000 2700000\n\u00c9change: 4000 0 4000\n';
    const row = 'Mem: 8000000 5100000 1200000 80000 2700000 2900000\n';
    expect(meminfo(HEADING + row + rows)).toMatch(/SwapTotal: 4000; SwapFree: 4000; $/);
  });

  test('with figures in another order, or below no heading, are not read', () => {
    const row = 'Mem: 8000000 1200000 5100000 80000 2700000 2900004\n';
    expect(readText(HEADING + row)?.parts).toMatchObject([
      { state: 'unclear', why: expect.stringContaining('LC_ALL=C free') },
    ]);
    expect(readText(`Udp: 1 2 3 4 5 6\n${row}`)).toBeUndefined();
    expect(meminfo('top - 9:00:00 up 3 days\nKiB Mem:   8000000 a,  7000000 b,  200000 c,   100000 d\n')).toBe(
      'MemTotal: 8000000; ',
    );
  });

  test('free with swap alone has no memory', () => {
    const [part] = readText('total used free shared buff/cache available\nSwap: 2000000 0 2000000\n')?.parts ?? [];
    expect(part?.why).toBe('it has no row of memory');
  });

  test('top without its summary has processes', () => {
    const table = of('top').slice(of('top').indexOf('    PID USER'));
    expect(content(table)).toMatchObject({ kinds: ['top'], unknown: 0 });
    expect([...content(table).files.keys()]).toEqual(['sos_commands/process/ps_aux']);
  });
});

describe('cgroups', () => {
  const PATH = '/sys/fs/cgroup/system.slice/web.service';
  const STAT = `anon 4000000000\nfile 20000000\nkernel_stack 1000000\nsock 0\nshmem 8192\ninactive_file 10000000\nslab_unreclaimable 140000000\npgscan 100\npgsteal 9\noom_kill 3\n`;
  const V1 =
    'cache 4096\nrss 0\nhierarchical_memory_limit 1048576\ntotal_cache 20000000\ntotal_rss 4000000000\ntotal_pgpgin 7\n';
  const EVENTS = 'low 0\nhigh 0\nmax 12\noom 3\noom_kill 3\noom_group_kill 0\n';

  test.each([
    [
      'version 2',
      STAT,
      {
        anonBytes: 4_000_000_000,
        fileBytes: 20_000_000,
        kernelStackBytes: 1_000_000,
        socketBytes: 0,
        shmemBytes: 8192,
        slabUnreclaimableBytes: 140_000_000,
      },
    ],
    ['version 1', V1, { limitBytes: 1_048_576, anonBytes: 4_000_000_000, fileBytes: 20_000_000 }],
    [
      'version 1 without a limit',
      V1.replace('1048576', '9223372036854771712'),
      { anonBytes: 4_000_000_000, fileBytes: 20_000_000 },
    ],
  ])('memory.stat of %s shows the memory of its cgroup, and none of the machine', (_, text, figures) => {
    for (const beside of ['', of('/proc/vmstat')]) {
      const found = readText(text + beside);
      expect(found?.parts[0]).toMatchObject({ kind: 'memory.stat of a cgroup', state: 'used', figures });
      expect(found?.files.get('proc/vmstat')).toBe(content(beside).files.get('proc/vmstat'));
    }
    const cut = readText(text.slice(text.indexOf('\n') + 1));
    expect(cut?.parts.every(({ figures: none }) => none === null)).toBe(true);
    expect(cut?.files.has('proc/vmstat')).toBe(false);
  });

  test('memory.events without its cgroup are no events of the machine', () => {
    const found = readText(EVENTS + of('/proc/meminfo'));
    expect(found?.parts.map(({ kind, state }) => [kind, state])).toEqual([
      ['memory.events of a cgroup', 'unclear'],
      ['/proc/meminfo', 'used'],
    ]);
    expect(found?.files.has('proc/vmstat')).toBe(false);
  });

  test.each([
    [
      'behind prompts',
      `# cat ${PATH}/memory.max\n4294967296\n# cat ${PATH}/memory.current\n4290000000\n# cat ${PATH}/memory.events\n${EVENTS}# cat ${PATH}/memory.stat\n${STAT}`,
    ],
    [
      'below their paths',
      `==> ${PATH}/memory.max <==\n4294967296\n\n==> ${PATH}/memory.current <==\n4290000000\n\n==> ${PATH}/memory.events <==\n${EVENTS}\n==> ${PATH}/memory.stat <==\n${STAT}`,
    ],
    [
      'as grep prints them',
      `memory.max:4294967296\nmemory.current:4290000000\n${EVENTS.replace(/^(?=.)/gm, 'memory.events:')}${STAT.replace(/^(?=.)/gm, 'memory.stat:')}`.replace(
        /^(?=.)/gm,
        `${PATH}/`,
      ),
    ],
  ])('files of cgroups %s', (_, text) => {
    const host = new CapturedHost(new CapturedFiles(content(text).files));
    expect(['max', 'current', 'events', 'stat'].map((file) => host.readText(`${PATH}/memory.${file}`))).toEqual([
      '4294967296\n',
      '4290000000\n',
      EVENTS,
      STAT,
    ]);
    expect(content(text).unknown).toBe(0);
  });
});

test('pressure is read if its file is known', () => {
  const text =
    'some avg10=12.00 avg60=30.00 avg300=9.00 total=285767\nfull avg10=11.00 avg60=25.00 avg300=8.00 total=242194\n';
  expect(readText(text)?.parts).toMatchObject([{ state: 'unclear' }]);
  for (const head of ['$ cat /proc/pressure/memory\n', '==> /proc/pressure/memory <==\n'])
    expect(content(head + text).files).toEqual(new Map([['proc/pressure/memory', text]]));
});

test.each([
  [
    '/proc/PID/maps',
    '55a0b2c00000-55a0b2c21000 rw-p 00000000 00:00 0 [heap]\n7f0000000000-7f0000021000 r-xp 00000000 08:01 12 /usr/lib/libc.so.6\n',
  ],
  [
    'numastat',
    '                           node0           node1\nnuma_hit              76557759        92126519\nnuma_miss                30772           30827\ninterleave_hit          106507          103832\nlocal_node            76502227        92086995\n',
  ],
  [
    'numastat',
    'Per-node process memory usage (in MBs) for PID 4711 (app)\n                           Node 0          Node 1           Total\n                  --------------- --------------- ---------------\nHuge                         0.00            0.00            0.00\nPrivate                   1250.31         3401.75         4652.06\n----------------  --------------- --------------- ---------------\nTotal                     1250.31         3401.75         4652.06\n',
  ],
])('%s is named, and not used', (kind, text) => {
  for (const beside of ['/proc/meminfo', 'ss', '/proc/vmstat']) {
    const found = readText(text + of(beside));
    expect(found?.parts.map((part) => [part.kind, part.state === 'used'])).toEqual([
      [kind, false],
      [beside, true],
    ]);
    expect(found?.unknownLines).toBe(0);
  }
});
