import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { deflateRawSync, gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { withLogBeside } from '../../../src/app/triage/text-log.js';
import { logEndSchema, logMessageSchema, logSchema } from '../../../src/contracts/log.js';
import { triageSchema } from '../../../src/contracts/triage.js';
import { triageWith } from '../../answers/triage/hostile.js';
import { commandPath } from '../../support/cli.js';
import { fixture } from '../../support/fixtures.js';
import { kdumpMem } from '../../support/in-process.js';
import { parseRun } from '../../support/triage-run.js';

const folder = mkdtempSync(path.join(tmpdir(), 'text-log-'));
afterAll(() => rmSync(folder, { recursive: true }));

const LOG = `[    0.000000] Linux version 6.12.0-1 (a@b) #1 SMP
[    1.000000] usb 1-1: new device
[    2.000000] BUG: kernel NULL pointer dereference, address: 0000000000000010
[    2.000001] #PF: supervisor read access in kernel mode
[    2.000002] Oops: 0000 [#1] SMP
[    2.000003] CPU: 1 UID: 0 PID: 7 Comm: sh Tainted: G           OE      6.12.0-1 #1
[    2.000004] Hardware name: QEMU Standard PC
[    2.000005] RIP: 0010:memcpy+0x1/0x10
[    2.000006] Call Trace:
[    2.000007]  <TASK>
[    2.000008]  ? show_regs+0x1/0x2
[    2.000009]  my_read+0x12/0x40 [mine]
[    2.000010]  vfs_read+0x1/0x2
[    2.000011]  </TASK>
[    2.000012] Modules linked in: mine(OE) other
[    2.000013] ---[ end trace 0000000000000000 ]---
`;

function file(name: string, content: string | Buffer): string {
  const at = path.join(folder, name);
  writeFileSync(at, content);
  return at;
}

test.each([
  ['plain', 'a.txt', LOG],
  ['gzip', 'a.gz', gzipSync(LOG)],
])('triages a text log: %s', async (_, name, content) => {
  const { stdout, status } = await kdumpMem('triage', file(name, content), '--json');
  expect(status).toBe(0);
  const answer = triageSchema.parse(JSON.parse(stdout));
  expect(answer.logs).toMatchObject([
    {
      format: 'dmesg',
      messages: 16,
      bootCount: 1,
      boots: [{ boot: 0, bootId: null, release: '6.12.0-1', fromStart: true }],
    },
  ]);
  expect(answer).toMatchObject({ complete: true, warnings: [] });
  expect(answer.findings).toMatchObject([
    {
      code: 'oops',
      title: 'BUG: unable to handle kernel NULL pointer dereference in my_read',
      figures: { symbol: 'memcpy', cpu: 1, pid: 7, comm: 'sh', number: 1 },
      report: {
        function: 'my_read',
        corrupted: null,
        taint: 'GOE',
        release: '6.12.0-1',
        hardware: 'QEMU Standard PC',
        address: '0000000000000010',
        access: 'read',
        modules: ['mine', 'other'],
        stack: [
          { symbol: 'show_regs', guess: true },
          { symbol: 'my_read', offset: 18, module: 'mine', guess: false },
          { symbol: 'vfs_read' },
        ],
      },
    },
  ]);
});

test('reads a file compressed by xz, and reports a truncated one', async () => {
  const plain = file('f.txt', LOG.repeat(200));
  const packed = await new Promise<Buffer>((resolve) => {
    execFile('xz', ['-c', plain], { encoding: 'buffer' }, (_, out) => resolve(out));
  });
  const whole = await kdumpMem('triage', file('f.xz', packed));
  expect(whole.stdout).toContain('dmesg, 3,200 messages, from boot, 200 boots');
  const cut = await kdumpMem('triage', file('g.xz', packed.subarray(0, -40)), '--strict');
  expect([cut.status === 3 || cut.status === 5, cut.stderr]).toEqual([true, expect.stringContaining('g.xz')]);
});

test('reports the recognized format first; --fail-on sets the exit status', async () => {
  const { stdout, status } = await kdumpMem('triage', file('b.txt', LOG), '--fail-on', 'oops');
  expect(stdout.split('\n')[0]).toBe('dmesg, 16 messages, from boot, Linux 6.12.0-1. 1 critical.');
  expect(status).toBe(1);
});

test('a log that does not begin at a boot is never an all-clear', async () => {
  const { stdout, stderr, status } = await kdumpMem(
    'triage',
    file('c.txt', '[   99.000000] usb 1-1: new device\n'),
    '--strict',
  );
  expect(stdout).toContain('No findings, but the log is incomplete.');
  expect(stderr).toContain('does not begin at a boot');
  expect(status).toBe(5);
});

test('refuses text without a kernel log', async () => {
  const { stderr, status } = await kdumpMem('triage', file('d.txt', 'dear diary,\n'));
  expect(stderr).toContain('contains no kernel log');
  expect(status).toBe(3);
});

test('an unknown format is no all-clear', async () => {
  const unknown = file('unknown.txt', 'a week of Mem-Info: and of\nKernel command line: quiet\nwords\n');
  const { stdout, stderr, status } = await kdumpMem('triage', unknown, '--strict');
  expect(stdout).toMatch(
    /^3 lines in an unknown log format: 2 lines look like kernel messages, others may continue them\./,
  );
  expect(stdout).toContain('No findings, but the log is incomplete.');
  expect([stderr, status]).toEqual([
    expect.stringContaining('lines of other programs may be taken for kernel messages'),
    5,
  ]);
});

test('reads standard input', async () => {
  const stdout = await new Promise<string>((resolve) => {
    const child = execFile(commandPath('kdump-mem'), ['triage', '-'], (_, out) => resolve(out));
    child.stdin?.end(LOG);
  });
  expect(stdout).toContain('dmesg, 16 messages, from boot');
});

test('log prints kernel messages in one format', async () => {
  const journal = `Nov 22 11:04:51 web1 sshd[9]: hello
Nov 22 11:04:52 web1 kernel: [    7.000001] usb 1-1: x
`;
  const { stdout, stderr } = await kdumpMem('log', file('e.log', journal));
  expect(stdout).toBe('[    7.000001] usb 1-1: x\n');
  expect(stderr.split('\n')[0]).toBe('kdump-mem: syslog or journal, 1 message.');
});

test('prints a report without timestamps line by line, in order', async () => {
  const bare = LOG.replace(/^\[ +[\d.]+\] /gm, '');
  const { stdout, stderr, status } = await kdumpMem('log', file('bare.txt', bare), '--strict');
  expect([status, stderr]).toEqual([5, expect.stringContaining('unknown log format')]);
  expect(stdout.replaceAll('[           ?] ', '')).toBe(bare);
  expect(await kdumpMem('log', file('diary.txt', 'dear diary,\n'))).toMatchObject({ status: 3 });
});

const asStdin = (content: string | Buffer, ...words: readonly string[]) =>
  new Promise<{ stdout: string; stderr: string; status: number | null }>((resolve) => {
    const child = execFile(commandPath('kdump-mem'), [...words], (_, stdout, stderr) =>
      resolve({ stdout, stderr, status: child.exitCode }),
    );
    child.stdin?.end(content);
  });

test('log prints JSON with the schema of a dump, as one object or as lines', async () => {
  const path = file('json.txt', LOG);
  const one = logSchema.parse(JSON.parse((await kdumpMem('log', path, '--json')).stdout));
  expect(one).toMatchObject({
    source: 'text',
    kernel: null,
    captured: null,
    overwritten: null,
    complete: true,
    logs: [{ name: path, format: 'dmesg', messages: 16 }],
  });
  expect(one.messages).toHaveLength(16);
  expect(one.messages[1]).toMatchObject({
    timestampMicroseconds: 1_000_000,
    text: 'usb 1-1: new device',
    bootNumber: 1,
    log: path,
  });
  const lines = (await kdumpMem('log', path, '--ndjson')).stdout.trimEnd().split('\n');
  const end = logEndSchema.parse(JSON.parse(lines.pop() ?? ''));
  const messages = lines.map((line) => logMessageSchema.parse(JSON.parse(line)));
  expect(messages.map(({ schema: _, ...message }) => message)).toEqual(one.messages);
  expect(end).toMatchObject({ listed: 16, omitted: 0 });
  const none = await kdumpMem('log', path, '--json', '--since', '99');
  expect(logSchema.parse(JSON.parse(none.stdout))).toMatchObject({ messages: [], omitted: 16 });
});

test('log filters by time and level; -1s counts back from the newest message', async () => {
  const raw = LOG.replaceAll('[ ', '<6>[ ').replace('<6>[    1.0', '<3>[    1.0');
  const path = file('since.txt', raw);
  const textsOf = async (...words: readonly string[]) =>
    (await kdumpMem('log', path, ...words)).stdout.trimEnd().split('\n').length;
  expect(await textsOf('--since', '1', '--until', '2')).toBe(2);
  expect(await textsOf('--since', '-1s')).toBe(14);
  expect(await textsOf('--level', 'err+')).toBe(1);
  const wall = file('wall.txt', 'Nov 22 11:04:52 web1 kernel: a\n');
  const untimed = await kdumpMem('log', wall, '--since', '90', '--strict');
  expect([untimed.status, untimed.stderr]).toEqual([5, expect.stringContaining('no kernel timestamps')]);
});

test('selects a boot as journalctl names it, and reports the boot of each finding', async () => {
  const later = LOG.replaceAll('PID: 7', 'PID: 8').replaceAll('6.12.0-1', '6.12.0-2');
  const path = file('boots.txt', LOG + later);
  const pids = async (...words: readonly string[]) => {
    const { stdout } = await kdumpMem('triage', path, '--json', ...words);
    return triageSchema.parse(JSON.parse(stdout)).findings.map(({ figures }) => [figures.boot, figures.pid]);
  };
  expect(await pids()).toEqual([
    [-1, 7],
    [0, 8],
  ]);
  expect(await pids('--boot', '0')).toEqual([[0, 8]]);
  expect(await pids('--boot', '1')).toEqual([[-1, 7]]);
  const last = (await kdumpMem('log', path, '--boot', '0')).stdout;
  expect(last).toContain('Linux version 6.12.0-2');
  expect([last.includes('PID: 8'), last.includes('PID: 7')]).toEqual([true, false]);
  expect(await kdumpMem('log', path, '--boot', '-2')).toMatchObject({ status: 2, stdout: '' });
  expect(await kdumpMem('triage', path, '--boot', 'x')).toMatchObject({ status: 2 });
  expect(await asStdin(LOG, 'log', '-', '--boot', '0')).toMatchObject({ status: 2 });
  expect((await asStdin(LOG, 'log', '-', '--boot', '1')).stdout).toContain('usb 1-1');
});

test('the page of a log has its findings, with the log around them', async () => {
  const log = file('page.txt', LOG.replaceAll('usb 1-1', '<script>alert(1)</script>'));
  const { stdout, status } = await kdumpMem('triage', log, '--html', '-');
  expect(status).toBe(0);
  expect(stdout).not.toContain('<script');
  expect(stdout).toContain('BUG: unable to handle kernel NULL pointer dereference in my_read');
  expect(stdout).toContain('<summary>The log around oops</summary>');
  expect(stdout).toMatch(/<mark>\[ +2\.000002\] Oops: 0000 \[#1\] SMP/);
  expect(stdout).toContain('The last 16 of 16 messages');
  const page = path.join(folder, 'page.html');
  const written = await kdumpMem('triage', log, '--html', page);
  expect(written.stdout).toContain(`${page}: open it in a browser`);
  expect(await kdumpMem('triage', log, '--html', log, '--force')).toMatchObject({ status: 2 });
  expect(readFileSync(log, 'utf8')).toContain('Linux version');
});

test('rules apply to a log; data that a log does not contain is unknown', async () => {
  const rule = (code: string, when: object) => ({ code, severity: 'warning', when, message: 'So.' });
  const rules = file(
    'rules.json',
    JSON.stringify({
      schema: 'kdump-mem.rules/1',
      rules: [
        rule('acme/usb', { log: 'usb * new device' }),
        rule('acme/release', { release: '6.12.*' }),
        rule('acme/none', { log: 'no such line' }),
        rule('acme/module', { module: 'mine' }),
        rule('acme/stack', { stack: { symbol: 'my_read' } }),
        rule('acme/memory', { memory: { category: 'free', atMostBytes: 1 } }),
        rule('acme/panic', { panic: '*' }),
      ],
      adjust: [{ finding: 'oops', severity: 'note', because: 'known' }],
    }),
  );
  const log = file('rules.txt', LOG);
  const { stdout } = await kdumpMem('triage', log, '--json', '--rules', rules);
  const answer = triageSchema.parse(JSON.parse(stdout));
  expect(answer.findings.map(({ code, severity }) => [code, severity])).toEqual([
    ['acme/usb', 'warning'],
    ['acme/release', 'warning'],
    ['oops', 'note'],
  ]);
  expect(answer.rules).toMatchObject({ rules: 7, matched: 2, changed: [{ code: 'oops' }] });
  expect(answer.rules?.unknown.map(({ code, reason }) => [code, reason])).toEqual([
    ['acme/module', 'modules-unreadable'],
    ['acme/stack', 'stacks-unreadable'],
    ['acme/memory', 'memory-unavailable'],
    ['acme/panic', 'panic-unknown'],
  ]);
  const text = (await kdumpMem('triage', log, '--rules', rules)).stdout;
  expect(text).toContain('Rules: 2 of 7 matched.');
  // Two kernels, or a log that does not begin at a boot: a rule has no answer.
  const two = file('two.txt', LOG + LOG.replaceAll('6.12.0-1', '6.1.0-2'));
  const cut = file('cut.txt', LOG.replace(/^.*Linux version.*\n/, ''));
  for (const [name, reasons] of [
    [two, { 'acme/release': 'release-unknown' }],
    [cut, { 'acme/release': 'release-unknown', 'acme/none': 'log-incomplete' }],
  ] as const) {
    const json = JSON.parse((await kdumpMem('triage', name, '--json', '--rules', rules)).stdout);
    const unknown = triageSchema.parse(json).rules?.unknown.map(({ code, reason }) => [code, reason]);
    expect(Object.fromEntries(unknown ?? [])).toMatchObject(reasons);
  }
  const stdin = await asStdin(LOG, 'triage', '-', '--ndjson');
  expect([stdin.status, stdin.stdout]).toEqual([2, '']);
});

test('prints a line for each log, and groups equal problems', async () => {
  const one = file('one.txt', LOG);
  const same = file('same.txt', LOG.replaceAll('PID: 7', 'PID: 8').replaceAll('+0x', '+0x1'));
  const other = file('other.txt', LOG.replaceAll('my_read', 'my_write'));
  const { stdout, status } = await kdumpMem('triage', '--ndjson', one, same, other);
  expect(status).toBe(0);
  const { lines, end } = parseRun(stdout);
  expect(end).toMatchObject({ dumps: 3, read: 3, failed: 0 });
  expect(lines[0]).toMatchObject({
    dump: one,
    ok: true,
    error: null,
    release: '6.12.0-1',
    memory: null,
    complete: true,
    findings: [{ code: 'oops', report: { function: 'my_read' } }],
    logs: [{ name: one, format: 'dmesg', messages: 16 }],
  });
  const prints = lines.map(({ fingerprint }) => fingerprint?.id);
  expect(prints[0]).toBe(prints[1]);
  expect(prints[0]).not.toBe(prints[2]);
  expect(lines[0]?.fingerprint).toMatchObject({ functions: ['my_read', 'vfs_read'] });
  const similar = await kdumpMem('triage', '--similar', one, same, other);
  expect(similar.stdout).toMatch(/^3 dumps, 2 distinct problems\n/);
  expect(similar.stdout).toContain('stack: my_read ← vfs_read');
});

test.each(['zstd', 'bzip2', 'xz', 'gzip'])(
  'reads files compressed by %s, also from standard input',
  async (program) => {
    const packed = await new Promise<Buffer>((resolve) => {
      const plain = file('packed.txt', LOG);
      execFile(program, ['-c', plain], { encoding: 'buffer' }, (_, out) => resolve(out));
    });
    const answer = { stdout: expect.stringContaining('dmesg, 16 messages, from boot') };
    expect(await kdumpMem('triage', file('packed', packed))).toMatchObject(answer);
    expect(await asStdin(packed, 'triage', '-')).toMatchObject(answer);
  },
);

describe('folders', () => {
  function filled(files: Readonly<Record<string, string | Buffer>>): string {
    const at = mkdtempSync(path.join(folder, 'logs-'));
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(path.dirname(path.join(at, name)), { recursive: true });
      writeFileSync(path.join(at, name), content);
    }
    return at;
  }
  const triaged = async (at: string, ...words: readonly string[]) => {
    const { stdout, stderr } = await kdumpMem('triage', '--json', ...words, at);
    expect(stderr).toBe('');
    return triageSchema.parse(JSON.parse(stdout));
  };
  const [first = '', second = '', ...rest] = LOG.split(/(?<=\n)/);
  const third = rest.join('');

  test('joins rotated logs, compressed or not', async () => {
    const at = filled({
      'kern.log.2.gz': gzipSync(first),
      'kern.log.1': second,
      'kern.log': third,
      'auth.log': 'Nov 22 11:04:51 web1 sshd[9]: hello\n',
      'notes.md': 'dear diary,\n',
    });
    for (const words of [[], ['--from']]) {
      const { logs, findings, complete } = await triaged(at, ...words);
      expect(logs).toMatchObject([
        { name: 'kern.log', files: ['kern.log.2.gz', 'kern.log.1', 'kern.log'], messages: 16 },
      ]);
      expect([findings.length, complete]).toEqual([1, true]);
    }
    const { stdout } = await kdumpMem('log', at);
    expect(stdout.split('\n').slice(0, 3)).toEqual([
      '==> kern.log <==',
      '[    0.000000] Linux version 6.12.0-1 (a@b) #1 SMP',
      '[    1.000000] usb 1-1: new device',
    ]);
  });

  test('joins records of pstore into one log, and reports missing parts', async () => {
    const packed = deflateRawSync(`Oops#1 Part1\n${third}`);
    const at = filled({
      'dmesg-efi-170123456702001': `Oops#1 Part2\n${first}${second}`,
      'dmesg-efi-170123456701001.enc.z': packed,
    });
    expect(await triaged(at)).toMatchObject({
      logs: [{ name: 'dmesg-*', messages: 16 }],
      findings: [{ code: 'oops' }],
      complete: true,
      warnings: [],
    });
    const lacking = filled({ 'dmesg-ramoops-0': `Oops#1 Part2\n${LOG}` });
    expect((await triaged(lacking)).warnings).toMatchObject([{ message: 'dmesg-*: missing Oops#1 Part1' }]);
  });

  test('an unreadable record of pstore is a warning', async () => {
    const at = filled({
      'console.log': LOG,
      'dmesg-efi-170123456701001': Buffer.from([0x1f, 0x8b, 1, 2, 3, 4, 5, 6]),
      'dmesg-efi-170123456702001': `Panic#1 Part2\n${first}${second}`,
    });
    const { logs, complete, warnings } = await triaged(at);
    expect(logs?.map(({ name, messages }) => [name, messages])).toEqual([
      ['console.log', 16],
      ['dmesg-*', 2],
    ]);
    expect([complete, warnings.map(({ message }) => message)]).toEqual([
      false,
      expect.arrayContaining([expect.stringContaining('dmesg-efi-170123456701001')]),
    ]);
  });

  test('log prints readable logs, and warns of unreadable ones', async () => {
    const rubbish = Buffer.from([0x1f, 0x8b, 1, 2, 3, 4, 5, 6]);
    const at = filled({ 'console.log': LOG, 'dmesg-efi-170123456701001': rubbish });
    const { stdout, stderr, status } = await kdumpMem('log', at, '--json', '--strict');
    expect([stderr, status]).toEqual(['', 5]);
    const { logs, messages, warnings } = logSchema.parse(JSON.parse(stdout));
    expect([logs?.length, messages.length]).toEqual([1, 16]);
    expect(warnings).toMatchObject([{ message: expect.stringContaining('dmesg-efi-170123456701001') }]);
    const none = await kdumpMem('log', filled({ 'dmesg-efi-170123456701001': rubbish }), '--json');
    expect([none.status, none.stdout]).toEqual([3, '']);
  });

  test('distinguishes several logs, and reports a finding of two logs once', async () => {
    const at = filled({ 'a/console.txt': LOG, 'b/journal.txt': LOG.replaceAll('PID: 7', 'PID: 8') });
    const { logs, findings } = await triaged(at);
    expect(logs?.map(({ name }) => name)).toEqual(['a/console.txt', 'b/journal.txt']);
    expect(findings.map(({ figures }) => figures.log)).toEqual(['a/console.txt']);
    const { stdout } = await kdumpMem('log', at);
    expect(stdout.match(/^==> .*/gm)).toEqual(['==> a/console.txt <==', '==> b/journal.txt <==']);
  });

  test('reads the log beside an unreadable dump in a folder of kdump', async () => {
    const at = filled({ 'vmcore-dmesg.txt': LOG, 'system.journal': 'LPKSHHRH' });
    expect(await triaged(at)).toMatchObject({
      logs: [{ name: 'vmcore-dmesg.txt' }],
      warnings: [{ message: expect.stringContaining('system.journal: unsupported') }],
    });
  });

  const dumped = (dump: Buffer | string) => filled({ vmcore: dump, 'vmcore-dmesg.txt': LOG });

  test('reads the log beside a dump that cannot be opened, and reports that', async () => {
    const at = dumped(readFileSync(fixture('6.1').vmcore).subarray(0, 5000));
    const log = path.join(at, 'vmcore-dmesg.txt');
    for (const named of [at, path.join(at, 'vmcore')]) {
      const triage = await kdumpMem('triage', named, '--json');
      expect(triage.status).toBe(3);
      expect(triageSchema.parse(JSON.parse(triage.stdout))).toMatchObject({
        logs: [{ name: log }],
        findings: [{ code: 'oops' }],
        complete: false,
        warnings: [{ message: expect.stringContaining(`everything here is from ${log}`) }],
      });
      const { stdout, status } = await kdumpMem('log', named, '--json');
      expect(status).toBe(3);
      const { source, messages, warnings } = logSchema.parse(JSON.parse(stdout));
      expect([source, messages.length, warnings.length]).toEqual(['text', 16, 1]);
    }
    const text = await kdumpMem('triage', at);
    expect(text.stdout).toMatch(/vmcore-dmesg\.txt: dmesg, 16 messages/);
    expect(text.stderr).toContain('the log beside the dump');
    const lines = await kdumpMem('log', at);
    expect(lines.stdout).toContain('usb 1-1: new device\n');
    expect(lines.stderr).toContain('the log beside the dump');
    expect(await kdumpMem('triage', at, '--fail-on', 'oops')).toMatchObject({ status: 1 });
    const crash = await kdumpMem('triage', at, '--engine', 'crash');
    expect([crash.status, crash.stdout]).toEqual([3, '']);
    const [line] = parseRun((await kdumpMem('triage', '--ndjson', at)).stdout).lines;
    expect(line).toMatchObject({
      ok: false,
      error: { code: expect.any(String) },
      complete: false,
      findings: [{ code: 'oops' }],
      logs: [{ name: log }],
    });
    rmSync(log);
    expect(await kdumpMem('triage', at)).toMatchObject({ status: 3, stdout: '' });
  });

  test('a dump without its log has the findings of the log beside it', async () => {
    const panic = '[    2.100000] Kernel panic - not syncing: Fatal exception\n';
    const at = filled({ vmcore: readFileSync(fixture('6.1').vmcore), 'dmesg.txt': LOG + panic });
    const [dump, log] = [path.join(at, 'vmcore'), path.join(at, 'dmesg.txt')];
    const { answer } = triageWith(['name']);
    const figures = { reason: null, pid: 3 };
    const own = { code: 'panic', severity: 'critical', figures, evidence: [] } as const;
    const lacking = { ...answer, log: undefined, findings: [own], complete: true, warnings: [] };
    const merged = await withLogBeside(lacking, [dump]);
    expect(merged).toMatchObject({
      findings: [
        { code: 'panic', figures: { reason: 'Fatal exception', pid: 3, log } },
        { code: 'oops', figures: { log } },
      ],
      complete: false,
      warnings: [{ message: expect.stringContaining(log) }],
    });
    expect(await withLogBeside(answer, [dump])).toBe(answer);
    rmSync(log);
    expect(await withLogBeside(lacking, [dump])).toBe(lacking);
  });

  test('a folder with only the log of kdump has a line', async () => {
    const at = filled({
      'a/dmesg.202611221830': LOG,
      'b/vmcore': readFileSync(fixture('6.1').vmcore),
      'b/vmcore-dmesg.txt': LOG,
    });
    const { lines, end } = parseRun((await kdumpMem('triage', '--ndjson', at)).stdout);
    expect(lines.map(({ dump, ok, logs }) => [path.basename(dump), ok, logs?.length])).toEqual([
      ['dmesg.202611221830', true, 1],
      ['vmcore', true, undefined],
    ]);
    expect(end).toMatchObject({ skipped: { files: 1 } });
  });

  test('refuses a folder without a log', async () => {
    const { status, stderr } = await kdumpMem('triage', filled({ 'a.txt': 'x\n' }));
    expect([status, stderr]).toEqual([3, expect.stringContaining('contains no kernel log')]);
  });
});
