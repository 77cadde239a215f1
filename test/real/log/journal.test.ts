import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { logSchema } from '../../../src/contracts/log.js';
import { triageSchema } from '../../../src/contracts/triage.js';
import { kdumpMem } from '../../support/in-process.js';

const folder = mkdtempSync(join(tmpdir(), 'journal-'));
afterAll(() => rmSync(folder, { recursive: true }));

const LOG = new URL('../../../fixtures/logs/panic-null-7.2.log', import.meta.url);
/** Messages of a real panic, and one of two lines, which an export contains as bytes. */
const MESSAGES = [
  ...readFileSync(fileURLToPath(LOG), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [, level = '', seconds = '', micros = '', text = ''] = /^<(\d)>\[ *(\d+)\.(\d+)\] (.*)$/.exec(line) ?? [];
      return { level: Number(level), time: Number(seconds) * 1e6 + Number(micros), text };
    }),
  { level: 6, time: 99_000_000, text: 'first=\nsecond' },
];

const BOOT = '0123456789abcdef0123456789abcdef';
const START = 1_790_000_000_000_000;
const JOURNAL = join(folder, 'system.journal');

beforeAll(() => {
  const entries = MESSAGES.flatMap(({ level, time, text }, index) => {
    const fields = [
      `__REALTIME_TIMESTAMP=${START + time}`,
      `__MONOTONIC_TIMESTAMP=${time}`,
      `_BOOT_ID=${BOOT}`,
      '_MACHINE_ID=fedcba9876543210fedcba9876543210',
      '_HOSTNAME=web1',
    ];
    const size = Buffer.alloc(8);
    size.writeBigUInt64LE(BigInt(Buffer.byteLength(text)));
    const isBinary = text.includes('\n');
    const kernel = [
      ...fields,
      '_TRANSPORT=kernel',
      'SYSLOG_IDENTIFIER=kernel',
      `PRIORITY=${level}`,
      'SYSLOG_FACILITY=0',
      `_SOURCE_MONOTONIC_TIMESTAMP=${time}`,
    ].join('\n');
    const message = isBinary
      ? Buffer.concat([Buffer.from('\nMESSAGE\n'), size, Buffer.from(`${text}\n\n`)])
      : Buffer.from(`\nMESSAGE=${text}\n\n`);
    const other = [...fields, '_TRANSPORT=syslog', 'SYSLOG_IDENTIFIER=sshd', `MESSAGE=${index}`];
    return [Buffer.from(kernel), message, Buffer.from(`${other.join('\n')}\n\n`)];
  });
  execFileSync('/lib/systemd/systemd-journal-remote', ['-o', JOURNAL, '-'], {
    input: Buffer.concat(entries),
    stdio: ['pipe', 'ignore', 'ignore'],
  });
});

/** Output of systemd's own program for the journal. */
function journalctl(...words: readonly string[]): string {
  const file = join(folder, `${words.join('')}.log`);
  const all = ['--file', JOURNAL, '--no-pager', '--all', ...words];
  writeFileSync(file, execFileSync('journalctl', all, { maxBuffer: 1 << 28 }));
  return file;
}

/** Findings of the log itself, as printk printed it. */
let asPrinted: readonly { readonly title?: string | undefined }[] = [];
beforeAll(async () => {
  const { stdout } = await kdumpMem('triage', '--json', fileURLToPath(LOG));
  asPrinted = triageSchema.parse(JSON.parse(stdout)).findings;
});

const FORMS = ['short', 'short-precise', 'short-iso', 'short-full', 'short-unix', 'with-unit'];

test.each(['json', 'export', 'short-monotonic', ...FORMS])(
  'journalctl -o %s: reads messages of the kernel, and of no other program',
  async (form) => {
    for (const only of [[], ['-k', '-b', BOOT]]) {
      const file = journalctl('-o', form, ...only);
      const { stdout, stderr } = await kdumpMem('log', '--json', file);
      expect(stderr).toBe('');
      const { messages, logs } = logSchema.parse(JSON.parse(stdout));
      const texts = messages.map(({ text }) => text.trimEnd());
      // One-line formats show further lines of a message below it.
      const isWhole = form === 'json' || form === 'export';
      const expected = MESSAGES.map(({ text }) => (isWhole ? text : text.split('\n')[0]));
      expect(texts).toEqual(expected.map((text) => text?.trimEnd()));
      expect(logs[0]?.messages).toBe(MESSAGES.length);
      if (isWhole) {
        expect(messages.map(({ level }) => level)).toEqual(MESSAGES.map(({ level }) => level));
        expect(messages.every(({ bootId }) => bootId === BOOT)).toBe(true);
      }
      if (isWhole || form === 'short-monotonic')
        expect(messages.map(({ timestampMicroseconds }) => timestampMicroseconds)).toEqual(
          MESSAGES.map(({ time }) => time),
        );
      const triage = await kdumpMem('triage', '--json', file);
      const { findings } = triageSchema.parse(JSON.parse(triage.stdout));
      expect(findings.map(({ code }) => code).sort()).toEqual(['oops', 'panic']);
      const titles = findings.map(({ title }) => title);
      expect(titles).toEqual(asPrinted.map(({ title }) => title));
    }
  },
);

test('reports a truncated export, and keeps the messages before the cut', async () => {
  const whole = readFileSync(journalctl('-o', 'export'));
  const file = join(folder, 'cut.export');
  writeFileSync(file, whole.subarray(0, whole.length - 100));
  const { stdout } = await kdumpMem('log', '--json', file);
  const { messages, complete, warnings } = logSchema.parse(JSON.parse(stdout));
  expect([messages.length, complete]).toEqual([MESSAGES.length, false]);
  expect(warnings[0]?.message).toContain('truncated within an entry');
});
