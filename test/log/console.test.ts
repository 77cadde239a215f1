import { expect, test } from 'vitest';
import { TextLogReader } from '../../src/log/reader.js';
import { LogFindings } from '../../src/triage/log/log-findings.js';

/** Findings of a text, and what its reader counts. */
function triaged(text: string) {
  const findings = new LogFindings(4096);
  const reader = new TextLogReader(findings);
  reader.push(Buffer.from(text));
  const { format, messages, unknownLines, unconfirmedLines } = reader.end();
  return { codes: findings.finish().map(({ code }) => code), format, messages, unknownLines, unconfirmedLines };
}

const PANIC = 'Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100';
const CPU = 'CPU: 0 PID: 1 Comm: init Not tainted 6.1.0 #1';
const END = `---[ end ${PANIC} ]---`;
const BOOT = '[    0.000000] Linux version 6.1.0\n[    1.500000] Run /init as init process\n';
const OOPS = 'BUG: unable to handle page fault for address: ffffc90000000000';
const KILL = 'Out of memory: Killed process 7 (x) total-vm:9kB, anon-rss:8kB, file-rss:0kB, shmem-rss:0kB';

test.each([
  ['output without a line end', 'loading modules', ''],
  ['output with a blank', 'Mounting root: ', ''],
  ['a prompt', '/ # ', ''],
  ['a level', 'Starting udev... ', '<0>'],
])('finds a panic with the clock behind %s', (_, output, level) => {
  const text = `${BOOT}${output}${level}[    2.100000] ${PANIC}\n[    2.100010] ${CPU}\n[    2.200000] ${END}\n`;
  expect(triaged(text)).toMatchObject({ codes: ['panic'], messages: 5, unknownLines: 0, unconfirmedLines: 0 });
});

test.each([
  [PANIC, CPU, 'panic'],
  [PANIC, END, 'panic'],
  [OOPS, '#PF: supervisor write access in kernel mode', 'oops'],
  ['Oops: 0000 [#1] SMP', 'RIP: 0010:x+0x1/0x2', 'oops'],
  ['BUG: soft lockup - CPU#1 stuck for 22s! [x:7]', 'Modules linked in: a', 'soft-lockup'],
  ['INFO: task x:7 blocked for more than 120 seconds.', '      Not tainted 6.1.0 #1', 'hung-task'],
  [KILL, 'oom_reaper: reaped process 7 (x), now anon-rss:0kB', 'oom-kill'],
])('finds %s behind output of a console without a clock, by its next line', (message, next, code) => {
  const lines = `waiting for disk${message}\n${next}\n`;
  const booted = `Linux version 6.1.0\nKernel command line: quiet\n${lines}`;
  const headed = booted.replace(/^(?=.)/gm, '2025-06-04T17:51:03.123Z ');
  for (const text of [lines, `Booting\n${lines}`, BOOT + lines, booted, headed])
    expect(triaged(text).codes, text).toEqual([code]);
});

test('finds a panic behind which nothing follows', () => {
  const boot = 'Linux version 6.1.0\nModules linked in: a\n';
  expect(triaged(`${boot}hello${PANIC}\n`).codes).toEqual(['panic']);
  expect(triaged(`${boot}hello${PANIC}\n\n`).codes).toEqual(['panic']);
});

test.each([
  ['in quotation marks', `agent: saw '${PANIC}' in the log`],
  ['in double quotation marks', `{"match": "${PANIC}"}`],
  ['as output of grep', `/var/log/kern.log:Jan  1 00:00:00 a kernel: ${PANIC}`],
  ['with its clock in quotation marks', `agent: saw "[    1.700000] ${PANIC}"`],
  ['as a command', `root@a:~# grep '${PANIC}' /var/log/messages`],
  ['as a redirection', `root@a:~# echo >${PANIC}`],
])('a quotation is no report: %s', (_, line) => {
  const text = `${BOOT}${line}\n[    2.000000] usb 1-1: new high-speed USB device\n[    2.100000] ${CPU}\n`;
  expect(triaged(text)).toMatchObject({ codes: [], messages: 4, unconfirmedLines: 0 });
});

test.each([
  ['of an earlier message', `agent: saw [    0.700000] ${PANIC}`],
  ['of another boot', `agent: saw [99999.700000] ${PANIC}`],
  ['without a clock', `agent: saw ${PANIC}`],
])('a quotation without marks, %s, is neither a finding nor an all-clear', (_, line) => {
  const text = `${BOOT}${line}\n[    2.000000] usb 1-1: new high-speed USB device\n[    2.100000] ${CPU}\n`;
  const { codes, unknownLines, unconfirmedLines } = triaged(text);
  expect(codes).toEqual([]);
  expect(unknownLines + unconfirmedLines).toBeGreaterThan(0);
});

test('a program that logs to syslog quotes nothing of this console', () => {
  const text = `Jun  4 17:51:03 a kernel: Linux version 6.1.0\nJun  4 17:51:03 a app[7]: ${PANIC}\n`;
  expect(triaged(`${text}${CPU}\n`)).toMatchObject({ codes: [], unconfirmedLines: 0 });
});

test("reads a kernel's lines without a time between those of other programs", () => {
  const syslog = 'Nov 22 11:00:02 web1 sshd[123]: Accepted publickey for root\n';
  const text = `${syslog}watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [x:7]\n${syslog}${CPU}\n${syslog}${PANIC}\n`;
  expect(triaged(text)).toMatchObject({
    codes: ['soft-lockup', 'panic'],
    format: undefined,
    messages: 3,
    unknownLines: 3,
  });
  // Without one, there is none; and a line with the clock shows the format.
  expect(triaged(syslog.repeat(3))).toMatchObject({ messages: 0, unknownLines: 0 });
  expect(triaged(`${text}[    3.000000] a\n`)).toMatchObject({ format: 'console output', messages: 1 });
});
