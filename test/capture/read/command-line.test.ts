import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { CommandLineMask } from '../../../src/capture/read/command-line.js';
import { CAPTURE_SCRIPT } from '../../../src/capture/read/script.js';

const [MASKED] = /^masked\(\) \{\n.*?^\}\n/ms.exec(CAPTURE_SCRIPT)!;

/** Formats of kernels from 5.10 to 7.2, dracut and systemd; each contains the secret s3cret. */
const KEPT_HEADS = [
  'Command line: (left-out)',
  'Kernel command line: (left-out)',
  'Kernel command line: (left-out)',
  'Unknown kernel command line parameters " (left-out)',
  'dracut-cmdline[292]: Using kernel command line parameters: (left-out)',
  'Malformed early option  (left-out)',
  'Booting kernel:  (left-out)',
];
const MESSAGES = [
  'Command line: BOOT_IMAGE=/vmlinuz root=/dev/vda1 password=s3cret',
  'Kernel command line: root=/dev/vda1 luks.key="s3cret: x" \\',
  'Kernel command line: more=s3cret',
  'Unknown kernel command line parameters "BOOT_IMAGE=/vmlinuz password=s3cret", will be passed to user space.',
  'dracut-cmdline[292]: Using kernel command line parameters:  rd.x=s3cret',
  "Malformed early option 's3cret'",
  "Booting kernel: `s3cret' invalid for parameter `x'",
];
const INIT = ['Run /init as init process', '  with arguments:', '    /init', '    s3cret', '  with environment:'];
const WORDS = ['    HOME=/', '    password=s3cret and more'];
/** Lines without a command line. */
const OTHERS = ['systemd[1]: Started x; y] z.', 'usb 1-1:     not masked before', ' Call Trace:', '  <TASK>'];
const ALL = [...OTHERS, ...MESSAGES, ...INIT, ...WORDS, 'usb: between', ...WORDS, ...OTHERS.slice(0, 1)];

const FORMS: Readonly<Record<string, (text: string, at: number) => string>> = {
  kmsg: (text, at) => `6,${at},${at * 1000},-;${text}\n SUBSYSTEM=pci\n`,
  'kmsg with callers': (text, at) => `6,${at},${at * 1000},-,caller=T1;${text}\n`,
  'dmesg -r': (text, at) => `<6>[    ${at}.000000] ${text}\n`,
  'dmesg -r with callers': (text, at) => `<6>[    ${at}.000000][    T1] ${text}\n`,
};

function byNode(log: string, pieceBytes: number): string {
  let written = '';
  const mask = new CommandLineMask((bytes) => {
    written += bytes.toString('latin1');
  });
  const bytes = Buffer.from(log, 'latin1');
  for (let at = 0; at < bytes.length; at += pieceBytes) mask.push(bytes.subarray(at, at + pieceBytes));
  mask.end();
  return written;
}

/** Runs the function of the script. */
function byScript(log: string, withArguments: boolean): string {
  const script = `asked() { ${withArguments}; }\n${MASKED}masked`;
  const { stdout, status, stderr } = spawnSync('sh', ['-c', script], {
    input: Buffer.from(log, 'latin1'),
    env: { ...process.env, LC_ALL: 'C' },
  });
  if (status !== 0) throw new Error(String(stderr));
  return stdout.toString('latin1');
}

test.each(Object.entries(FORMS))('removes the command line from a log (%s)', (_, form) => {
  const log = `${ALL.map(form).join('')}\xff\xfe`;
  const masked = byNode(log, 1000);
  expect(masked).not.toContain('s3cret');
  for (const head of KEPT_HEADS) expect(masked).toContain(head);
  // All other bytes are unchanged, and no line is lost.
  for (const text of OTHERS) expect(masked).toContain(form(text, OTHERS.indexOf(text)));
  expect(masked.split('\n')).toHaveLength(log.split('\n').length);
  expect(masked.endsWith('\xff\xfe')).toBe(true);
  for (const bytes of [1, 7, 64]) expect(byNode(log, bytes)).toBe(masked);
});

test.each(Object.entries(FORMS))('removes the same text in the script (%s)', (_, form) => {
  const log = `${ALL.map(form).join('')}\xff\xfe\n`;
  expect(byScript(log, false)).toBe(byNode(log, 1000));
  expect(byScript(log, true)).toBe(log);
});
