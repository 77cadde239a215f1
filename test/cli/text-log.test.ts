import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, expect, test } from 'vitest';
import { textTriageSchema } from '../../src/report/triage/text-log.js';
import { commandPath, kdumpMem } from '../support/cli.js';

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
])('a log that is text is triaged: %s', async (_, name, content) => {
  const { stdout, status } = await kdumpMem('triage', file(name, content), '--json');
  expect(status).toBe(0);
  const answer = textTriageSchema.parse(JSON.parse(stdout));
  expect(answer.log).toMatchObject({ format: 'dmesg', messages: 16, boots: 1, fromBoot: true });
  expect(answer).toMatchObject({ complete: true, warnings: [], log: { release: '6.12.0-1' } });
  expect(answer.findings).toMatchObject([
    {
      code: 'oops',
      title: 'BUG: unable to handle kernel NULL pointer dereference in my_read',
      figures: { symbol: 'memcpy', cpu: 1, pid: 7, comm: 'sh', number: 1 },
      report: {
        ...{ function: 'my_read', corrupted: null, taint: 'GOE', release: '6.12.0-1' },
        ...{ hardware: 'QEMU Standard PC', address: '0000000000000010', access: 'read' },
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

test('a file that xz packed is read by its program, and one that is cut says so', async () => {
  const plain = file('f.txt', LOG.repeat(200));
  const packed = await new Promise<Buffer>((resolve) => {
    execFile('xz', ['-c', plain], { encoding: 'buffer' }, (_, out) => resolve(out));
  });
  const whole = await kdumpMem('triage', file('f.xz', packed));
  expect(whole.stdout).toContain('dmesg, 3,200 messages, from boot, 200 boots');
  const cut = await kdumpMem('triage', file('g.xz', packed.subarray(0, -40)), '--strict');
  expect([cut.status === 3 || cut.status === 5, cut.stderr]).toEqual([
    true,
    expect.stringContaining('g.xz'),
  ]);
});

test('what is recognized is said first; --fail-on is the exit status', async () => {
  const { stdout, status } = await kdumpMem('triage', file('b.txt', LOG), '--fail-on', 'oops');
  expect(stdout.split('\n')[0]).toBe(
    'dmesg, 16 messages, from boot, Linux 6.12.0-1. 1 critical, 0 warnings.',
  );
  expect(status).toBe(1);
});

test('a log that does not begin at a boot is never an all-clear', async () => {
  const { stdout, stderr, status } = await kdumpMem(
    ...['triage', file('c.txt', '[   99.000000] usb 1-1: new device\n'), '--strict'],
  );
  expect(stdout).toContain('No finding, and the log is incomplete.');
  expect(stderr).toContain('does not begin at a boot');
  expect(status).toBe(5);
});

test('text without a kernel log is an error', async () => {
  const { stderr, status } = await kdumpMem('triage', file('d.txt', 'dear diary,\n'));
  expect(stderr).toContain('contains no kernel log');
  expect(status).toBe(3);
});

test('standard input is read', async () => {
  const stdout = await new Promise<string>((resolve) => {
    const child = execFile(commandPath('kdump-mem'), ['triage', '-'], (_, out) => resolve(out));
    child.stdin?.end(LOG);
  });
  expect(stdout).toContain('dmesg, 16 messages, from boot');
});

test('log prints the messages of the kernel, in one form', async () => {
  const journal = `Nov 22 11:04:51 web1 sshd[9]: hello
Nov 22 11:04:52 web1 kernel: [    7.000001] usb 1-1: x
`;
  const { stdout, stderr } = await kdumpMem('log', file('e.log', journal));
  expect(stdout).toBe('[    7.000001] usb 1-1: x\n');
  expect(stderr).toBe('kdump-mem: syslog or journal, 1 message.\n');
});
