import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { CapturedFiles } from '../../../../src/capture/read/files.js';
import { readPasted } from '../../../../src/capture/read/pasted.js';
import { processesOfPs, readSosreport } from '../../../../src/capture/read/sosreport.js';
import { slabLines } from '../../../../src/host/proc/details.js';

const run = (program: string, ...args: readonly string[]) =>
  execFileSync(program, args, { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C', COLUMNS: '200' } });
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
