import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { execa } from 'execa';
import { afterAll, describe, expect, test } from 'vitest';
import { triageSchema } from '../../../src/contracts/triage.js';
import { commandPath } from '../../support/cli.js';
import { kdumpMem, kdumpMemJson } from '../../support/in-process.js';

const folder = mkdtempSync(join(tmpdir(), 'pasted-'));
afterAll(() => rmSync(folder, { recursive: true }));
const written = (name: string, text: string) => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

const MEMINFO =
  'MemTotal: 8000000 kB\nMemFree: 1000000 kB\nSlab: 100000 kB\nSReclaimable: 50000 kB\nSUnreclaim: 50000 kB\nPercpu: 2000000 kB\n';
const SLABTOP =
  'OBJS ACTIVE  USE OBJ SIZE  SLABS OBJ/SLAB CACHE SIZE NAME\n7000000 7000000 100%    0.06K 109375       64    437500K ebitmap_node\n';
const KILLED = '[  100.000001] Out of memory: Killed process 4711 (app) total-vm:9000000kB, anon-rss:3100000kB\n';

const fromStdin = (text: string) =>
  execa(process.execPath, [commandPath('kdump-mem'), 'triage', '-', '--json'], { input: text, reject: false });

test('meminfo between sentences: findings, parts, and what the text lacks', async () => {
  const path = written('ticket.txt', `Hi,\n> ${MEMINFO.replaceAll('\n', '\n> ')}\nAny ideas?\n`);
  const answer = await kdumpMemJson(triageSchema, 'triage', path);
  expect(answer.findings.map(({ code, figures }) => [code, figures.bytes])).toEqual([
    ['per-cpu-memory', 2_000_000 * 1024],
  ]);
  expect(answer.pasted).toMatchObject({
    parts: [{ kind: '/proc/meminfo', line: 2, lines: 6, state: 'used', why: null }],
    unknownLines: 2,
  });
  expect(answer.pasted?.lacks).toContain('ps aux');
  expect(answer.pasted?.lacks).not.toContain('cat /proc/meminfo');
  expect(answer.complete).toBe(false);
});

test.each([
  [
    '/proc/meminfo that is cut',
    'MemTotal: 65831908 kB\nBuffers: 20000 kB\n',
    '62.8 GiB in total, 62.8 GiB unknown (its counters are missing).',
  ],
  [
    'free',
    'total used free shared buff/cache available\nMem: 23Gi 22Gi 300Mi 8.7Mi 700Mi 500Mi\nSwap: 0B 0B 0B\n',
    'about 300 MiB of 23.0 GiB free, at least 8.70 MiB applications and shared memory, 22.7 GiB unknown (its counters are missing).',
  ],
])('%s: no amount that it lacks is 0', async (_, text, words) => {
  const { stdout } = await kdumpMem('triage', written('lacking.txt', text));
  expect(stdout.replace(/\s+/g, ' ')).toContain(`Memory: ${words}`);
});

test('ps aux names the processes with the largest RSS, also in a list without pid 1', async () => {
  const head = 'USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND\n';
  const rows = [
    'root 1 0.0 0.0 169000 13000 ? Ss Mar01 0:09 /sbin/init',
    'app 4711 9.9 55.0 9000000 4400000 ? Sl Mar02 99:01 /opt/app/bin/server --fast',
    'app 99 0.0 2.0 500000 160000 ? S Mar02 0:01 worker',
  ];
  const words = (text: string) => kdumpMem('triage', written('ps.txt', `${MEMINFO}\n${head}${text}`));
  const { stdout } = await words(`${rows.join('\n')}\n`);
  const largest =
    'Largest processes by RSS, which counts shared pages, and each mapping of a page: pid 4711 (server) 4.20 GiB, pid 99 (worker) 156 MiB. Not read: processes that are not listed.';
  expect(stdout.replace(/\s+/g, ' ')).toContain(largest);
  const cut = await words(`${rows[1]}\n${rows[2]}\n`);
  expect(cut.stdout.replace(/\s+/g, ' ')).toContain(largest);
  expect(cut.stdout).not.toContain('as root');
});

test('ss without times says which sockets have unread data, and is no complete check', async () => {
  const ss = (more: string) =>
    `State Recv-Q Send-Q Local Address:Port Peer Address:Port Process\nESTAB 700000 0 10.0.0.1:80 10.0.0.2:4000 users:(("web",pid=7,fd=3)) ino:9 sk:1\n\t skmem:(r900000,rb6291456,t0,tb87040,f0,w0,o0,bl0,d0)${more}\n`;
  const answerOf = (more: string) => kdumpMemJson(triageSchema, 'triage', written('ss.txt', `${MEMINFO}\n${ss(more)}`));
  const ageless = await answerOf('');
  expect(ageless.findings.find(({ code }) => code === 'unread-sockets')?.figures).toMatchObject({
    pid: 7,
    sockets: 1,
    unreadBytes: 700_000,
    pinnedBytes: null,
  });
  expect(ageless.unread.map(({ why }) => why).join()).toContain('ss printed no times of TCP');
  expect(ageless.checked).not.toContain('sockets');
  const timed = await answerOf(' cubic rto:204 rcvmss:536 bytes_received:700000 segs_in:9 lastrcv:100');
  expect(timed.unread.map(({ why }) => why).join()).not.toContain('no times');
});

test('free with little available memory is a finding', async () => {
  const text = 'total used free shared buff/cache available\nMem: 23Gi 22Gi 300Mi 8.7Mi 700Mi 500Mi\n';
  const { stdout } = await kdumpMem('triage', written('little.txt', text));
  expect(stdout).toContain('Cause unknown: counters of memory are missing.');
  // Its figures are a few lines of meminfo.
  expect(stdout.replace(/\s+/g, ' ')).toContain('Not in the text: the output of cat /proc/meminfo, cat /proc/vmstat,');
  expect(stdout).toContain('WARNING   Little memory available: 500 MiB of 23.0 GiB (2 %) [low-available]');
});

test.each([
  ['df', 'Filesystem Size Used Avail Use% Mounted on\nshm 6.0G 6.0G 0 100% /dev/shm\n', []],
  ['netstat', 'raw 37749184 0 0.0.0.0:112 0.0.0.0:* 7 16418/vrrp\n', []],
  ['memory.stat', 'anon 100\nfile 22102016\nslab_reclaimable 8408743448\nslab_unreclaimable 596544\n', []],
  ['/proc/vmstat', 'nr_free_pages 308642\npgpgin 99\noom_kill 2\n', []],
  ['anonymous memory', `${MEMINFO}MemAvailable: 10000 kB\nSwapTotal: 0 kB\nAnonPages: 5900000 kB\n`, ['memory']],
  ['slabtop', SLABTOP, []],
])('commands after %s answer from it', async (_, text, expected) => {
  const path = written('suggests.txt', text);
  const run = [['triage', path]];
  const commands: (string | undefined)[] = [];
  for (const args of run) {
    const { stdout, status } = await kdumpMem(...args);
    expect([args, status]).toEqual([args, 0]);
    const found = Array.from(stdout.matchAll(/^ *(?:Next|More): kdump-mem (.+)$/gm), ([, words = '']) =>
      words.split(' '),
    );
    for (const next of found) if (!run.some((one) => String(one) === String(next))) run.push(next);
    if (args[0] === 'triage') commands.push(...found.map(([command]) => command));
  }
  expect([...new Set(commands)]).toEqual(expected);
});

test('the outputs of a text are listed once', async () => {
  const path = written('once.txt', MEMINFO);
  const plain = await kdumpMem('triage', path);
  expect(plain.stdout).toContain('The text contains /proc/meminfo (6 lines).');
  expect(plain.stderr).not.toContain('the text contains');
  const brief = await kdumpMem('triage', '--brief', path);
  expect(brief.stdout).not.toContain('The text contains');
  expect(brief.stderr).toContain('the text contains /proc/meminfo (6 lines)');
});

test('slabtop alone: its largest cache is a finding, and its list an answer', async () => {
  const path = written('slabtop.txt', SLABTOP);
  const [finding] = (await kdumpMemJson(triageSchema, 'triage', path)).findings;
  expect(finding).toMatchObject({
    code: 'unreclaimable-slab',
    figures: { bytes: 437_500 * 1024, share: null, caches: 'ebitmap_node' },
  });
  const text = await kdumpMem('triage', path);
  expect(text.stdout).toContain('\nNext: on that machine, run slabtop again some minutes later: ');
  const { stdout, status } = await kdumpMem('memory', '--caches', '--from', path);
  expect([status, stdout]).toEqual([0, expect.stringContaining('Largest cache: ebitmap_node, 427 MiB.')]);
});

test('a kill in a line between outputs is found', async () => {
  const answer = await kdumpMemJson(triageSchema, 'triage', written('mixed.txt', MEMINFO + KILLED));
  expect(answer.findings.map(({ code }) => code)).toContain('oom-kill');
});

const PS = 'USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND\nroot 4711 0.0 0.1 9000 5000 ? S 10:00 0:00 app\n';

describe('a folder of texts', () => {
  const path = join(folder, 'ticket');
  const put = (name: string, text: string) => writeFileSync(join(path, name), text);
  mkdirSync(join(path, 'var/log'), { recursive: true });
  put('meminfo.txt', MEMINFO);
  put('ps', PS);

  test('is one text: without a log, and beside a log, which alone would be without findings', async () => {
    const codes = async () => (await kdumpMemJson(triageSchema, 'triage', path)).findings.map(({ code }) => code);
    const alone = await codes();
    expect(alone).toEqual(['per-cpu-memory']);
    const saysNoLog = async () => (await kdumpMem('triage', path)).stdout.includes('It has no dmesg: OOM kills and');
    expect(await saysNoLog()).toBe(true);
    put('vmstat', 'nr_free_pages 5000\nnr_zone_inactive_anon 10\npgpgin 20\npgfault 30\noom_kill 3\n');
    expect((await kdumpMem('triage', path)).stdout).toMatch(
      /It has no dmesg: faults are unknown\.[\s\S]*OOM kills since boot: 3/,
    );
    rmSync(join(path, 'vmstat'));
    put('dmesg.txt', '[    1.000000] Linux version 6.18.44 (a@b) #1 SMP\n');
    expect(await codes()).toEqual(alone);
    put('dmesg.txt', KILLED);
    expect(await codes()).toEqual(expect.arrayContaining(['oom-kill', ...alone]));
    expect(await saysNoLog()).toBe(false);
    put('dmesg.txt', '');
    put('var/log/messages', KILLED);
    expect(await codes()).toEqual(expect.arrayContaining(['oom-kill', ...alone]));
    expect((await kdumpMemJson(triageSchema, 'triage', path)).pasted?.lacks).not.toContain('dmesg');
    expect(await saysNoLog()).toBe(false);
    const { stdout, status } = await kdumpMem('memory', '--from', path);
    expect([status, stdout]).toEqual([0, expect.stringContaining('1.91 GiB')]);
    expect((await kdumpMem('procs', '--from', path)).stdout).toContain('4711');
  });

  test('is answered without a text that is damaged, also if it has logs alone', async () => {
    const whole = gzipSync(Array.from({ length: 3000 }, (_, at) => `[ ${at}.000000] usb 1-1: ${at ** 5}\n`).join(''));
    writeFileSync(join(path, 'messages.1.gz'), whole.subarray(0, whole.length - 3000));
    const { stderr, status } = await kdumpMem('triage', path);
    expect([status, stderr]).toEqual([0, expect.stringContaining('messages.1.gz')]);
    rmSync(join(path, 'meminfo.txt'));
    rmSync(join(path, 'ps'));
    expect((await kdumpMemJson(triageSchema, 'triage', path)).findings.map(({ code }) => code)).toContain('oom-kill');
    put('meminfo.txt', MEMINFO);
    put('ps', PS);
    rmSync(join(path, 'messages.1.gz'));
  });

  test('is one text also if names are those of a capture, texts are in a folder below, UTF-16 or compressed', async () => {
    const bytes = (text: string) => Buffer.from(text);
    const cases: Record<string, Readonly<Record<string, Buffer>>> = {
      'a log called dmesg': { dmesg: bytes(KILLED), 'meminfo.txt': bytes(MEMINFO) },
      'a file called version': { version: bytes('6.18'), 'dmesg.txt': bytes(KILLED), 'meminfo.txt': bytes(MEMINFO) },
      'a name of a supportconfig': { dmesg: bytes(KILLED), 'memory.txt': bytes(MEMINFO) },
      'a folder below': { dmesg: bytes(KILLED), 'node/meminfo.txt': bytes(MEMINFO) },
      'UTF-16': { 'dmesg.txt': bytes(KILLED), 'meminfo.txt': Buffer.from(`\ufeff${MEMINFO}`, 'utf16le') },
      compressed: { 'dmesg.txt': bytes(KILLED), 'meminfo.txt.gz': gzipSync(MEMINFO) },
      'bare names': { dmesg: bytes(KILLED), meminfo: bytes(MEMINFO) },
      'bare names beside an output': { dmesg: bytes(KILLED), meminfo: bytes(MEMINFO), 'ps.txt': bytes(PS) },
    };
    for (const [name, files] of Object.entries(cases)) {
      const [at, archive] = [join(folder, 'saved', name), join(folder, `${name.replaceAll(/\W/g, '')}.tar`)];
      for (const [file, content] of Object.entries(files)) {
        mkdirSync(dirname(join(at, file)), { recursive: true });
        writeFileSync(join(at, file), content);
      }
      await execa('tar', ['-cf', archive, '-C', join(folder, 'saved'), name]);
      for (const input of [at, archive]) {
        const answer = await kdumpMemJson(triageSchema, 'triage', '--from', input);
        const codes = answer.findings.map(({ code }) => code);
        expect(codes, `${name} ${input}`).toEqual(expect.arrayContaining(['oom-kill', 'per-cpu-memory']));
        const hasProcesses = (answer.pasted?.parts ?? []).some(({ kind }) => kind === 'ps aux');
        expect(hasProcesses, name).toBe('ps.txt' in files);
      }
    }
  });

  test('is the same in an archive, unless two folders have texts', async () => {
    const archive = join(folder, 'ticket.tar.gz');
    const codes = async () => (await kdumpMemJson(triageSchema, 'triage', '--from', archive)).findings;
    for (const at of ['ticket', '.']) {
      await execa('tar', ['-czf', archive, ...(at === '.' ? ['-C', path, '.'] : ['-C', folder, 'ticket'])]);
      expect((await codes()).map(({ code }) => code)).toEqual(expect.arrayContaining(['oom-kill', 'per-cpu-memory']));
    }
    cpSync(path, join(folder, 'two/a'), { recursive: true });
    cpSync(path, join(folder, 'two/b'), { recursive: true });
    await execa('tar', ['-czf', archive, '-C', folder, 'two']);
    const { stderr, status } = await kdumpMem('triage', '--from', archive);
    expect([status, stderr]).toEqual([3, expect.stringContaining('contains texts in 2 folders. Name one folder')]);
  });

  test('says which texts are not read', async () => {
    for (let count = 1; count <= 1000; count++) put(`z${String(count).padStart(4, '0')}`, 'free text\n');
    const { stderr } = await kdumpMem('triage', path);
    expect(stderr).toContain('z0999 and later texts were not read: more than 1000');
    const archive = join(folder, 'many.tar');
    await execa('tar', ['-cf', archive, '--sort=name', '-C', path, '.']);
    const { stderr: ofArchive } = await kdumpMem('triage', '--from', archive);
    expect(ofArchive).toMatch(/z\d{4} and later texts were not read: there are too many/);
  });
});

test('smaps is a process, without pid and page tables', async () => {
  const area = (kib: number) =>
    `5555${kib}000000-7ffffffff000 rw-p 00000000 00:00 0\nSize: 9000 kB\nRss: ${kib} kB\nPss: ${kib} kB\nPrivate_Clean: 0 kB\nPrivate_Dirty: ${kib} kB\n`;
  const { stdout } = await kdumpMem('procs', '--from', written('smaps.txt', area(1024) + area(2048)), '--json');
  const { processes, warnings } = JSON.parse(stdout);
  expect(processes).toMatchObject([{ comm: '?', pssBytes: 3072 * 1024, ussBytes: 3072 * 1024 }]);
  const messages = warnings.map(({ message }: { message: string }) => message).join('\n');
  expect(messages).toContain('page tables of pid 4194305 (?) were not captured');
  expect(messages).not.toMatch(/PSS|hidepid/);
});

describe('standard input', () => {
  test('with outputs is pasted text, and names no command that reads it again', async () => {
    const { stdout } = await execa(process.execPath, [commandPath('kdump-mem'), 'triage', '-'], { input: MEMINFO });
    expect(stdout).toContain('The text contains /proc/meminfo (6 lines).');
    expect(stdout).not.toMatch(/^(?:Next| +More):/m);
  });

  test.each([10, 40_000])('with a log of %i lines is read from its first line on', async (count) => {
    const lines = Array.from({ length: count }, (_, at) => `[${at}.000001] usb 1-1: message ${at} about nothing`);
    const { stdout } = await fromStdin(`${lines.join('\n')}\n${KILLED.replace('100', '90000')}`);
    const answer = triageSchema.parse(JSON.parse(stdout));
    expect(answer.pasted).toBeNull();
    expect(answer.logs?.map(({ messages }) => messages)).toEqual([count + 1]);
    expect(answer.findings.map(({ code }) => code)).toEqual(['oom-kill']);
  });

  test('that is empty is refused', async () => {
    expect((await fromStdin('')).stderr).toContain('-: contains no kernel log');
  });
});

test('memory and procs accept a text among their arguments', async () => {
  const path = written(
    'plain.txt',
    `${MEMINFO}USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND\nroot 1 0.0 0.1 168000 12000 ? Ss 09:00 0:01 /sbin/init\n`,
  );
  for (const command of ['memory', 'procs']) {
    const [plain, named] = [await kdumpMem(command, path), await kdumpMem(command, '--from', path)];
    expect([plain.status, plain.stdout]).toEqual([0, named.stdout]);
  }
  const { status, stderr } = await kdumpMem(
    'memory',
    written('maps.txt', '55a0b2c00000-55a0b2c21000 rw-p 00000000 00:00 0 [heap]\n\n'),
  );
  expect([status, stderr]).toEqual([
    3,
    expect.stringContaining('no part of the text is used (it contains /proc/PID/maps'),
  ]);
});

test('memory.stat alone shows what its cgroup holds', async () => {
  const path = written('stat.txt', 'anon 4000000000\nfile 20000000\nsock 0\nslab_unreclaimable 140000000\n');
  const { pasted, findings } = await kdumpMemJson(triageSchema, 'triage', path);
  expect([pasted?.parts.map(({ figures }) => figures?.anonBytes), findings]).toEqual([[4_000_000_000], []]);
  const { stdout } = await kdumpMem('triage', path);
  expect(stdout).toContain('(4 lines, anonymous 3.73 GiB, page cache 19.1 MiB, unreclaimable slab 134 MiB)');
});
