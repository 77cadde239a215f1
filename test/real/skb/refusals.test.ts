import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { accountFd } from '../../../src/account/skb.js';
import { WalkError } from '../../../src/base/errors.js';
import { openCrash } from '../../../src/kernel/crash/open.js';
import { kdumpMem } from '../../support/cli.js';
import { drgnJson } from '../../support/drgn.js';
import { labDump, labKernel, labTool, role } from '../../support/lab.js';

const { elf, kdumpZlib, truth, oracle } = labDump('6.1');
const { vmlinux } = labKernel('6.1');
const crash = ['--engine', 'crash', '--crash', labTool('crash')];
const init = ['skb', '--pid', '1'];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'refusals-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Expects one line, the status, and an empty stdout. */
async function refused(status: number, line: RegExp, ...args: string[]): Promise<void> {
  const ran = await kdumpMem(...args);
  expect(ran.stderr).toMatch(line);
  expect(ran.stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(ran).toMatchObject({ stdout: '', status });
}

describe('missing objects', () => {
  const source = ['--vmcore', elf];

  test('a pid', () =>
    refused(4, /^kdump-mem: pid 4000000 not found among the \d+/, 'skb', '--pid', '4000000', ...source));

  test.each([
    ['closed', /^kdump-mem: fd 60 of pid \d+ is not open/],
    ['beyond', /^kdump-mem: fd 100000 of pid \d+ is not open/],
    ['file', /^kdump-mem: fd \d+ of pid \d+ is open but is not a socket/],
    ['epoll', /^kdump-mem: fd \d+ of pid \d+ is open but is not a socket/],
  ])('a socket, at the descriptor %s', async (name, line) => {
    const { pid, fd } = role(truth, name);
    await refused(4, line, 'skb', '--pid', `${pid}`, '--fd', `${fd}`, ...source);
  });

  test('a sock, at the address of another object', () =>
    refused(4, /^kdump-mem: 0x[0-9a-f]+ is no sock/, 'skb', '--sock', oracle.sockets[0]?.file ?? '', ...source));

  test.each([
    ['requests', /^kdump-mem: 0x[0-9a-f]+ is a connection request \(NEW_SYN_RECV\)/],
    ['freed', /^kdump-mem: 0x[0-9a-f]+ is a sock that was freed$/m],
  ] as const)('a sock, at the address of an object with the same start: %s', async (kind, line) => {
    const script = new URL('no-socks.py', import.meta.url);
    const found = drgnJson<Record<typeof kind, string[]>>(elf, '6.1', script)[kind];
    expect(found.length).toBeGreaterThan(0);
    for (const address of found) await refused(4, line, 'skb', '--sock', address, ...source);
  });

  test('files, of a kernel thread', () =>
    refused(4, /^kdump-mem: pid \d+ is a kernel thread/, 'skb', '--pid', `${truth.kernelThread.pid}`, ...source));

  test('a process, if the pid is a thread’s', async () => {
    const { pid, holders } = role(truth, 'threaded');
    const thread = holders.find(({ tid }) => tid !== pid)?.tid;
    expect(thread).toBeDefined();
    await refused(
      4,
      new RegExp(`^kdump-mem: pid ${thread} is a thread of process ${pid}: use --pid ${pid}`),
      'skb',
      '--pid',
      `${thread}`,
      ...source,
    );
  });

  test('the same, through crash', () => {
    const kernel = openCrash({ vmcore: elf, vmlinux, crash: labTool('crash') });
    const code = (pid: number, fd: number) => {
      try {
        accountFd(kernel, pid, fd);
      } catch (error) {
        return error instanceof WalkError ? error.code : error;
      }
      return undefined;
    };
    try {
      expect(code(4_000_000, 0)).toBe('no-such-pid');
      expect(code(truth.kernelThread.pid, 0)).toBe('kernel-thread');
      for (const { kind, pid, fd, name } of truth.roles) {
        const expected = { socket: undefined, 'not-a-socket': kind, 'not-open': 'no-such-fd' }[kind];
        expect(code(pid, fd), name).toBe(expected);
      }
    } finally {
      kernel.close();
    }
  });
});

describe.each([
  ['native', []],
  ['crash', [...crash, '--vmlinux', vmlinux]],
] as const)('unusable files, through %s', (_engine, engine) => {
  test('no such file', () =>
    refused(3, /^kdump-mem: \/nonexistent[^ ]*: not found/, ...init, '--vmcore', '/nonexistent', ...engine));

  test('a fifo without a writer', async () => {
    const fifo = join(folder, `fifo-${engine.length}`);
    await execa('mkfifo', [fifo]);
    await refused(3, /fifo-\d: not a regular file/, ...init, '--vmcore', fifo, ...engine);
  });

  test('not a dump', async () => {
    const file = join(folder, 'text');
    writeFileSync(file, 'no dump at all\n'.repeat(1000));
    await refused(3, /text: unknown format/, ...init, '--vmcore', file, ...engine);
  });

  test('truncated', async () => {
    const file = join(folder, 'cut');
    await copyFile(elf, file);
    truncateSync(file, 60_000_000);
    await refused(
      3,
      /cut: truncated \(needs \d+ bytes, has 60000000\)\. Copy the file again\.$/m,
      ...init,
      '--vmcore',
      file,
      ...engine,
    );
  });

  test('the vmlinux of another kernel', () =>
    refused(
      3,
      /^kdump-mem: .*: from a different kernel build \(build id [0-9a-f]+, dump [0-9a-f]+\)/,
      ...init,
      '--vmcore',
      elf,
      ...engine,
      '--vmlinux',
      labKernel('newest').vmlinux,
    ));
});

describe('crash', () => {
  test('is not installed', () =>
    refused(
      3,
      /^kdump-mem: \/nonexistent[^ ]*: program not found/,
      ...init,
      '--vmcore',
      elf,
      '--engine',
      'crash',
      '--vmlinux',
      vmlinux,
      '--crash',
      '/nonexistent',
    ));

  test('has no vmlinux', () =>
    refused(3, /^kdump-mem: crash: requires the vmlinux/, ...init, '--vmcore', elf, ...crash));

  test('is too old for this kernel, and is not trusted', () =>
    refused(
      3,
      /^kdump-mem: .*crash-8\.0\.2: does not support this kernel \(pid [12] not found\)/,
      ...init,
      '--vmcore',
      elf,
      '--engine',
      'crash',
      '--vmlinux',
      vmlinux,
      '--crash',
      labTool('crash-8.0.2'),
    ));
});

test.each([
  [['skb', '--pid', '1'], /either --vmcore FILE or --live/],
  [['skb', '--pid', '1', '--vmcore', 'x', '--live'], /either --vmcore FILE or --live/],
  [['skb', '--vmcore', 'x'], /no socket selected: use --pid N/],
  [['skb', '--vmcore', 'x', '--pid', '1', '--sock', '0xff'], /no socket selected: use --pid N/],
  [['skb', '--vmcore', 'x', '--sock', 'init'], /It must be hex/],
  [['skb', '--vmcore', 'x', '--pid', '1', '--verbose'], /--verbose lists the skbs of one socket/],
  [['skb', '--pid', '-1', '--vmcore', 'x'], /It must be a whole number/],
  [['skb', '--pid', '1', '--engine', 'gdb', '--vmcore', 'x'], /Allowed choices are auto, native/],
  [['nonsense'], /unknown command 'nonsense'/],
  [['help', 'nonsense'], /unknown command 'nonsense'/],
])('wrong usage: %j', (args, line) => refused(2, line, ...args));

describe('hostile names of the guest’s processes', () => {
  test.each(['hostile-newline', 'hostile-escape', 'hostile-bytes'])('%s is escaped', async (name) => {
    const { pid, fd } = role(truth, name);
    const ran = await kdumpMem('skb', '--pid', `${pid}`, '--fd', `${fd}`, '--vmcore', kdumpZlib);
    expect(ran.status).toBe(0);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    expect(ran.stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    // A line feed in a name begins no line.
    expect(ran.stdout).toMatch(new RegExp(`^pid ${pid} \\(.+\\) fd ${fd}: TCP .*\\n\\nQUEUE `));
  });
});
