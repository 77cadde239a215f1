import { expect, test } from 'vitest';
import { textRecords } from '../../../src/log/reader.js';
import { bySeverity } from '../../../src/triage/finding.js';
import { logFindings } from '../../../src/triage/log/log-findings.js';

const find = (...lines: readonly string[]) => logFindings(textRecords(`${lines.join('\n')}\n`), 4096);
const INVOKED = 'java invoked oom-killer: gfp_mask=0x0(), order=0, oom_score_adj=0';
const KILLED = 'Out of memory: Killed process 7 (java) total-vm:9kB, anon-rss:8kB, file-rss:1kB';

test.each([
  ['padded', `[    1.000001] ${INVOKED}${' '.repeat(30)}[    1.000002] Mem-Info:`, `[    1.000003] ${KILLED}`],
  ['all in one', `[    1.000001] ${INVOKED} [    1.000002] Mem-Info: [    1.000003] a b [    1.000004] ${KILLED}`],
])('messages that were joined are separate: %s', (_, ...lines) => {
  expect(textRecords(`${lines.join('\n')}\n`).map(({ text }) => text)).toContain(KILLED);
  expect(find(...lines)).toMatchObject([{ code: 'oom-kill', figures: { pid: 7, invokedBy: 'java' } }]);
});

test('a message that quotes the clock of another processor is one', () => {
  const quote = `[   10.000001] remoteproc0: log: [    0.000123] boot [    0.000124] ready [    0.000125] idle`;
  expect(textRecords(`${quote}\n`)).toHaveLength(1);
  expect(textRecords('[    1.000000] fw: [    2.000000] ready\n')).toHaveLength(1);
});

test('a virtual machine’s log has the console of its guest, and messages of its own', () => {
  const own = '2023-12-04T10:49:30.125Z In(05) vcpu-5 - Guest:';
  const lines = [
    '2023-12-04T10:49:29.125Z In(05) vmx - GuestRpc: Reinitializing Channel 0(toolbox)',
    `${own} <4>[    7.000001] ${INVOKED}`,
    `${own} <3>[    7.000002] ${KILLED}`,
  ];
  expect(find(...lines)).toMatchObject([{ code: 'oom-kill', figures: { pid: 7, invokedBy: 'java' } }]);
  // A host's journal has a kernel of its own: the guest's is another machine.
  const journal = [1, 2, 3].map((second) => `Mar  4 09:30:4${second} host kernel: [    ${second}.000000] eth0: up`);
  expect(find(...journal, `Mar  4 09:30:44 host qemu[7]: <3>[    7.000002] ${KILLED}`)).toEqual([]);
});

test('OpenVZ kills in a container, or in a beancounter', () => {
  expect(find('OOM killed process httpd (pid=3542, ve=102) exited, free=43104 gen=24501.')).toMatchObject([
    { code: 'oom-kill', severity: 'warning', figures: { pid: 3542, comm: 'httpd', cgroup: 've=102', uid: null } },
  ]);
  const ub = 'Out of memory in UB 777: OOM killed process 4711 (mysqld) score 0 vm:9kB, rss:8kB, swap:0kB';
  expect(find(ub)).toMatchObject([{ figures: { pid: 4711, comm: 'mysqld', cgroup: 'UB 777', scope: 'cgroup' } }]);
});

test('a size of vmalloc before the report of its task belongs to it', () => {
  const report = 'modprobe: page allocation failure: order:0, mode:0x24000c0';
  expect(find('[ 1.000000] vmalloc: allocation failure: 3760300 bytes', `[ 1.000001] ${report}`)).toMatchObject([
    { code: 'allocation-failure', figures: { comm: 'modprobe', vmalloc: '3760300 bytes', order: null } },
  ]);
  expect(find(`[ 1.000001] ${report}`)).toMatchObject([{ figures: { comm: 'modprobe', order: 0 } }]);
});

test('a cut report follows the whole ones of its code', () => {
  const cut = `[    1.000000] sshd invoked oom-killer: gfp_mask=0x0(), order=0, oom_score_adj=0`;
  const whole = [`[    9.000000] ${INVOKED}`, `[    9.000001] ${KILLED}`];
  const found = bySeverity(find(cut, '[    5.000000] eth0: up', ...whole));
  expect(found.map(({ figures }) => figures.outcome)).toEqual(['killed', 'unknown']);
});
