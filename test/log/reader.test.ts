import { expect, test } from 'vitest';
import { TextLogReader, textRecords } from '../../src/log/reader.js';
import type { TextRecord } from '../../src/records/log-records.js';
import { logFindings } from '../../src/triage/log/log-findings.js';

const OOM = `Nov 22 11:04:51 web1 sshd[9]: Out of memory: Killed process 1 (x) total-vm:1kB, anon-rss:1kB, file-rss:1kB
Nov 22 11:04:52 web1 kernel: Out of memory: Killed process 7 (x) total-vm:1kB, anon-rss:1kB, file-rss:1kB
`;

test('bases findings of a text on its lines, with their times', () => {
  const [finding, ...others] = logFindings(textRecords(OOM), 4096);
  expect(others).toEqual([]);
  expect(finding).toMatchObject({ code: 'oom-kill', figures: { pid: 7 } });
  const time = { timestamp: null, printedTime: 'Nov 22 11:04:52' };
  expect(finding?.evidence).toMatchObject([{ kind: 'log', seq: 1, ...time }]);
});

test('loses no message to zeros, invalid UTF-8, or a line of many MiB', () => {
  const long = `[    1.000000] ${'x'.repeat(5 << 20)}\n`;
  const text = Buffer.concat([
    Buffer.from('[    0.000000] a\n\0\0\0[    0.500000] b\n'),
    Buffer.from('[    0.600000] \xff\xfe\x1b[31m\n', 'latin1'),
    Buffer.from(`${long}[    2.000000] c\n`),
  ]);
  for (const size of [64 * 1024, 1 << 20]) {
    const texts: string[] = [];
    const reader = new TextLogReader({
      take: (record) => void texts.push(record.text.slice(0, 8)),
      isOpen: true,
      triggers: /^/,
    });
    for (let at = 0; at < text.length; at += size) reader.push(text.subarray(at, at + size));
    expect(reader.end()).toMatchObject({ cutLines: 1, lines: 5 });
    expect(texts).toEqual(['a', 'b', '\ufffd\ufffd\x1b[31m', 'xxxxxxxx', 'c']);
  }
});

test('reads the device from properties below a message of /dev/kmsg, and unescapes bytes', () => {
  const text = '6,1,1000,-,caller=T7;usb 1-1: \\xc3\\xa4\n SUBSYSTEM=usb\n DEVICE=c189:1\n3,2,2000,-;b\n';
  expect(textRecords(text)).toMatchObject([
    { text: 'usb 1-1: ä', subsystem: 'usb', device: 'c189:1', caller: { kind: 'task', id: 7 } },
    { text: 'b', subsystem: '', level: 3 },
  ]);
});

const KILL = 'Out of memory: Killed process 7 (x) total-vm:1kB, anon-rss:1kB, file-rss:1kB';

/** Messages, how many are counted, and the format. */
function read(text: string | Buffer, size = 1 << 20) {
  const data = Buffer.from(text);
  const texts: string[] = [];
  const times: (bigint | null)[] = [];
  const take = ({ text: one, timestamp, bare }: TextRecord) => {
    if (bare) return;
    texts.push(one);
    times.push(timestamp);
  };
  const reader = new TextLogReader({ take, isOpen: true, triggers: /^/ });
  for (let at = 0; at < data.length; at += size) reader.push(data.subarray(at, at + size));
  const { messages, format, unknownLines } = reader.end();
  return { texts, times, messages, format, unknownLines };
}

test.each([
  [
    'short-monotonic --no-hostname',
    '[    1.000000] kernel: a\n[    2.000000] systemd[1]: b\n[    3.000000] kernel: x[9]: c\n',
    ['a', 'x[9]: c'],
  ],
  [
    'short-delta',
    '[    1.000000                ] web1 kernel: a\n[    2.000000 <    1.000000 >] web1 kernel: b\n[    2.5 <    0.500000*>] web1 init[1]: c\n',
    ['a', 'b'],
  ],
  ['--no-hostname', 'Nov 22 11:04:51 sshd[9]: a\nNov 22 11:04:52 kernel: b\nNov 22 11:04:52 java: c\n', ['b']],
  [
    'months',
    'févr. 22 11:04:51 h sshd[9]: a\nfévr. 22 11:04:52 h kernel: b\nmars 01 11:04:52 h sudo: c\nmars 01 11:04:52 h kernel: d\n',
    ['b', 'd'],
  ],
  [
    'svlogd with other programs',
    `2025-06-04_17:51:20.1 kern.warn: [    1.000000] a\n2025-06-04_17:51:20.2 daemon.info: b\n2025-06-04_17:51:20.3 kern.err: [    2.000000] c\n`,
    ['a', 'c'],
  ],
  ['Huawei', '[    1.000000s][pid:1,cpu0,init]a\n[    2.000000s][pid:20,cpu3,kworker/3:1]b\n', ['a', 'b']],
  [
    'an unknown vendor',
    Array.from({ length: 9 }, (_, n) => `[    ${n}.000000] [T${n}@C${n % 4}:x] m${n}\n`).join(''),
    Array.from({ length: 9 }, (_, n) => `m${n}`),
  ],
  ['a lost beginning', '4:52 web1 kernel: a\nNov 22 11:04:52 web1 kernel: b\n', ['a', 'b']],
  [
    'a table of tasks',
    Array.from({ length: 9 }, (_, n) => `[    1.000000] [  ${n}]     0     ${n}\n`).join(''),
    Array.from({ length: 9 }, (_, n) => `[  ${n}]     0     ${n}`),
  ],
  ['messages that begin alike', 'INFO: task a blocked\nINFO: task b blocked\nINFO: task c blocked\n', []],
])('%s', (_, text, expected) => {
  const { texts, messages, format } = read(text);
  expect(texts).toEqual(expected);
  if (format !== undefined) expect(messages).toBe(expected.length);
});

test('a program cannot write a line of the kernel', () => {
  const spoofs = ['web1 sshd[9]:', 'web1 sshd:', 'web1 sshd[9]: at 11:04:52 kernel:', 'web1 x kernel[:'];
  const lines = spoofs.map((tag) => `Nov 22 11:04:51 ${tag} [    1.000000] ${KILL}\n`);
  const { texts } = read(`Nov 22 11:04:51 web1 kernel: [    1.000000] a\n${lines.join('')}`);
  expect(texts).toEqual(['a']);
});

test('one line of many MiB does not hide the form of the others', () => {
  const others = Array.from({ length: 4 }, (_, n) => `host-1| [    ${n}.000000] m${n}\n`).join('');
  const { times, messages } = read(`${'a'.repeat(5 << 20)}\n${others}`, 1 << 16);
  expect([messages, times]).toEqual([4, [0n, 1_000_000_000n, 2_000_000_000n, 3_000_000_000n]]);
});

test('learns a prefix that begins far behind the start of a text', () => {
  const before = 'some other output\n'.repeat(1 << 16);
  const { texts, messages } = read(
    `${before}${Array.from({ length: 90 }, (_, n) => `|| x${n} -- [    1.000000] m\n`)
      .join('')
      .repeat(400)}`,
  );
  expect([texts.length, messages]).toEqual([36_000, 36_000]);
});

test('the level of some lines is no part of the prefix of all', () => {
  const lines = [
    'Panic#2 Part1',
    ...['a', 'b', 'c'].map((name) => `<4> [<f88e11c7>] ${name}+0x7d/0xbc`),
    '<4> Code: 66',
  ];
  const prefixed = lines.map((line) => `vm-1  | ${line}\n`).join('');
  expect(read(prefixed).texts).toEqual(lines.map((line) => line.replace('<4>', '')));
});

test('takes no message behind a time for that of a program, though a colon is in it', () => {
  const stamp = '2025-06-04T17:51:03.123Z';
  const memory = 'Out of memory: Killed process 7 (x)';
  expect(read(`${stamp} eth0: up\n${stamp} ${memory}\n${stamp} Modules linked in: a\n`).texts).toEqual([
    'eth0: up',
    memory,
    'Modules linked in: a',
  ]);
  // A single one among lines with the kernel's clock is not understood, and that is reported.
  for (const head of [stamp, 'Jun  4 17:51:03 web1'])
    expect(read(`[    0.000000] a\n[    0.100000] b\n${head} ${memory}\n[    0.200000] c\n`).unknownLines).toBe(1);
  const journal =
    'Jun  4 17:51:03 web1 kernel: a\nJun  4 17:51:03 web1 kernel: b\nJun  4 17:51:03 web1 app: Out of memory: Killed process 7\n';
  expect(read(journal)).toMatchObject({ texts: ['a', 'b'], unknownLines: 0 });
});

test('counts a line of a journal that has the clock but no tag', () => {
  const journal = ['kernel: [    0.000000] a', 'kernel: [    0.100000] b', 'app[7]: c', '[    0.200000] d'];
  const { messages, unknownLines } = read(journal.map((line) => `Jun  4 17:51:03 web1 ${line}\n`).join(''));
  expect(messages + unknownLines).toBe(3);
});

test('ends a line at a carriage return before the clock', () => {
  const lines = ['[    0.000000] a', 'copied 5 %', '<2>[    0.200000] b'];
  expect(read(lines.join('\r')).texts).toEqual(['a\rcopied 5 %', 'b']);
  expect(read(`${lines.join('\r\n')}\r\n`).texts).toEqual(['a', 'b']);
});

test("counts lines that look like a kernel's in an unknown format", () => {
  expect(read(`one day ${KILL}\nthe end\n`)).toMatchObject({ format: undefined, unknownLines: 1 });
  expect(read(`Kernel panic - not syncing: x\nMem-Info:\n`)).toMatchObject({ format: undefined, unknownLines: 2 });
  expect(read('dear diary,\n')).toMatchObject({ format: undefined, unknownLines: 0 });
});

test.each([
  '[ ',
  '[',
  '11:11:11 ',
  'a ',
  'a: ',
  '\x1b[1;',
  '=3D',
  '&lt;1&lt',
  '<pre ',
  '{"log":"',
  '1,1,1,',
  '\0',
  '> ',
  '([',
  'x Oops: ',
  'x [    1.000000] ',
])('a line of 1 MiB of %j is read in linear time, alone and in short lines', (part) => {
  const line = part.repeat(Math.ceil((1 << 20) / part.length));
  const kernel = '[    1.000000] -&gt; <1> a=3D\n';
  const lines = `${part.repeat(200)}\n`.repeat(500);
  expect(read(`${kernel}${line}\n${kernel}${lines}${kernel}`).texts.length).toBeGreaterThanOrEqual(3);
});

/** journalctl aligns further lines of a message below its first one. */
const FURTHER = `Dec 12 16:07:34 web1 kernel: active_anon:1 inactive_anon:2
                              active_file:3 inactive_file:4
                              free:5 free_pcp:6
Dec 12 16:07:34 web1 app[7]: x
`;

test.each([
  ['a program', 'vm-1  | '],
  ['the name of a file', '/var/log/kern.log:'],
  ['a time', '2025-06-04T17:51:20.123456789Z stdout F '],
  ['a line number', '    12\t'],
])('reads further lines of a message behind %s', (_, prefix) => {
  const texts = textRecords(FURTHER.replace(/^(?=.)/gm, prefix)).map(({ text }) => text.trim());
  expect(texts).toEqual(textRecords(FURTHER).map(({ text }) => text.trim()));
});

test.each([
  [
    'one message behind what all lines have',
    'vm-1  | VFS: Close: file count is 0\nvm-1  | a\nvm-1  | b\nvm-1  | \n',
    ['VFS: Close: file count is 0'],
  ],
  [
    'levels before each line',
    ['INFO', 'WARN', 'INFO', 'WARN', 'INFO', 'WARN']
      .map((level, index) => `<${level}> ${level}: usb 5-1: ${index}\n`)
      .join(''),
    ['usb 5-1: 0'],
  ],
  [
    'names before messages of few lines',
    'TITLE: BUG: Unable to handle kernel data access at 0x1\nTYPE: DoS\nALT: c\n',
    [],
  ],
  [
    'names before messages of more lines',
    ['TITLE', 'TYPE', 'ALT', 'FRAME', 'EXECUTOR'].map((name) => `${name}: KASAN\n`).join('') +
      'x: Kernel panic - not syncing: y\n',
    [],
  ],
])('%s', (_, text, expected) => {
  expect(read(text).texts.slice(0, 1)).toEqual(expected);
});

test("finds a message behind output in a container's log", () => {
  const lines = ['[    1.000000] a', 'root@vm:~# [    2.000000] BUG: unable to handle page fault', '[    3.000000] b'];
  const text = lines.map((log) => `${JSON.stringify({ log: `${log}\n`, stream: 'stdout' })}\n`).join('');
  expect(read(text)).toMatchObject({ texts: ['a', 'BUG: unable to handle page fault', 'b'], messages: 3 });
});
