import { expect, test } from 'vitest';
import { TextLogReader, textRecords } from '../../src/log/reader.js';
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
