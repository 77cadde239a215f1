import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CapturedFiles } from '../../../../src/capture/read/captured-files.js';
import { readPasted } from '../../../../src/capture/read/pasted.js';
import { processesOfPs, readSosreport } from '../../../../src/capture/read/sosreport.js';
import { slabLines } from '../../../../src/host/proc/details.js';
import { LAB } from '../../../support/lab.js';

const ENV = { ...process.env, LC_ALL: 'C', COLUMNS: '200' };
const output = (program: string, args: readonly string[]) =>
  execFileSync(program, args, { encoding: 'utf8', env: ENV });
/** Programs of this machine, and those of other suites of Debian (scripts/lab programs SUITE). */
const FOLDERS = {
  'this machine': '',
  sid: join(LAB, 'programs/sid/wrappers'),
  trixie: join(LAB, 'programs/trixie/wrappers'),
};
const BUSYBOX = join(LAB, 'programs/sid/usr/bin/busybox');
const pasted = (text: string) => readPasted([{ name: 'text', bytes: Buffer.from(text) }]);
const fileOf = (text: string, name: string) => pasted(text)?.files.get(name) ?? '';
const total = () => Number(/^MemTotal: +(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]);
const totalIn = (text: string) => Number(/^MemTotal: +(\d+) kB$/m.exec(fileOf(text, 'proc/meminfo'))?.[1]);

test.each([
  'meminfo',
  'vmstat',
  'zoneinfo',
  'slabinfo',
  'buddyinfo',
  'pagetypeinfo',
  'vmallocinfo',
  'net/sockstat',
  'self/smaps_rollup',
  'self/status',
])('/proc/%s is one output, without a line of no known kind', (name) => {
  const found = pasted(readFileSync(`/proc/${name}`, 'utf8'));
  expect(found?.parts.map(({ kind }) => kind)).toEqual([`/proc/${name.replace('self', 'PID')}`]);
  expect(found?.unknownLines).toBe(0);
});

describe.each(Object.entries(FOLDERS))('programs of %s', (_, folder) => {
  const run = (program: string, ...args: readonly string[]) => output(join(folder, program), args);

  test.each([
    [['-k'], 0],
    [['-m'], 1024],
    [['-h'], 0.06 * total()],
  ] as const)('free %j has the amount of memory, to %f kB', (args, rounding) => {
    for (const prompt of ['', `$ free ${args.join(' ')}\n`])
      expect(Math.abs(totalIn(prompt + run('free', ...args)) - total())).toBeLessThanOrEqual(rounding);
  });

  test('top has the amount of memory, and the processes of ps', () => {
    const [top, ps] = [run('top', '-b', '-n1', '-w200'), run('ps', 'aux')];
    expect(Math.abs(totalIn(top) - total())).toBeLessThanOrEqual(103);
    const [ofTop, ofPs] = [top, ps].map((text) => processesOfPs(fileOf(text, 'sos_commands/process/ps_aux')));
    const own = [ofTop, ofPs].map((of) => of?.processes.find(({ pid }) => pid === process.pid)?.status?.rss ?? 0);
    for (const rss of own) expect(Math.abs(rss / process.memoryUsage.rss() - 1)).toBeLessThan(0.3);
    const pids = [ofTop, ofPs].map((of) => new Set(of?.processes.map(({ pid }) => pid)));
    expect(pids[1]).toContain(process.ppid);
    expect(pids[0]).toContain(process.ppid);
  });

  test('slabtop has the caches of slabinfo', () => {
    const [before, text, after] = [
      slabLines({ readText: (path) => readFileSync(path, 'utf8') }),
      run('slabtop', '-o'),
      slabLines({ readText: (path) => readFileSync(path, 'utf8') }),
    ];
    const found = slabLines({ readText: () => fileOf(text, 'proc/slabinfo') });
    expect(found.length).toBeGreaterThan(50);
    const pages = (lines: typeof found, name: string) =>
      lines.filter((line) => line.name === name).map(({ slabs, pagesPerSlab }) => slabs * pagesPerSlab);
    // Caches that did not change meanwhile.
    const steady = found.filter(({ name }) => String(pages(before, name)) === String(pages(after, name)));
    expect(steady.length).toBeGreaterThan(found.length / 2);
    for (const { name } of steady) expect(pages(found, name), name).toEqual(pages(before, name));
  });

  test.each([['-tmnp'], ['-tanp'], ['-Htmnp'], ['-Otmnp'], ['-tumnpe']])(
    'ss %s has the unread socket and its owner',
    async (option) => {
      const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const address = server.address();
      if (address === null || typeof address === 'string') throw new Error('no port');
      const [{ connect }, accepted] = [await import('node:net'), once(server, 'connection')];
      const client = connect(address.port, '127.0.0.1');
      const [socket] = (await accepted) as [Socket];
      try {
        await new Promise((resolve) => client.write(Buffer.alloc(20_000), resolve));
        const text = run('ss', option);
        const found = pasted(text);
        expect(found?.parts.map(({ kind }) => kind)).toEqual(['ss']);
        expect(found?.unknownLines).toBe(0);
        const { ss, links } = readSosreport(new CapturedFiles(found?.files ?? []));
        const row = [...ss.values()]
          .join('\n')
          .split('\n')
          .find((line) => line.includes(` 127.0.0.1:${address.port} `) && / ESTAB +20000 /.test(line));
        const inode = / ino:(\d+)/.exec(row ?? '')?.[1];
        const holders = [...links].filter(([, target]) => target === `socket:[${inode}]`).map(([path]) => path);
        expect(holders).toEqual([expect.stringMatching(new RegExp(`^/proc/${process.pid}/fd/\\d+$`))]);
      } finally {
        socket.destroy();
        client.destroy();
        server.close();
      }
    },
  );
});

describe('BusyBox', () => {
  const run = (...args: readonly string[]) => output(BUSYBOX, args);

  test.each([
    [['free'], 0],
    [['free', '-m'], 1024],
    [['free', '-h'], 0.06 * total()],
    [['top', '-b', '-n1'], 0],
  ] as const)('%j has the amount of memory, to %f kB', (args, rounding) => {
    const found = pasted(run(...args));
    expect([found?.parts.length, found?.unknownLines]).toEqual([1, 0]);
    expect(Math.abs(totalIn(run(...args)) - total())).toBeLessThanOrEqual(rounding);
  });

  test('ps -o with rss lists this process', () => {
    const { processes } = processesOfPs(
      fileOf(run('ps', '-o', 'pid,user,vsz,rss,args'), 'sos_commands/process/ps_aux'),
    );
    const own = processes.find(({ pid }) => pid === process.pid)?.status?.rss ?? 0;
    expect(Math.abs(own / process.memoryUsage.rss() - 1)).toBeLessThan(0.3);
  });

  test('ps without memory is named, and not used', () => {
    expect(pasted(run('ps'))?.parts.map(({ kind, state }) => [kind, state])).toEqual([['ps', 'unsupported']]);
  });
});
