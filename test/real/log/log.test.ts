import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { STEP_MS } from '../../../scripts/lab-parts/limits.mjs';
import { messages } from '../../../src/account/log.js';
import { logEndSchema, logMessageSchema, logSchema } from '../../../src/contracts/log.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { textRecords } from '../../../src/log/reader.js';
import type { LogRecord, TextRecord } from '../../../src/records/log-records.js';
import { logFindings } from '../../../src/triage/log/log-findings.js';
import { drgnJson } from '../../support/drgn.js';
import { kdumpMem } from '../../support/in-process.js';
import { DUMPS, labDump, labKdump, labKernel, labTool, labVmcore, ofRun, PANICKED_KERNELS } from '../../support/lab.js';

interface DrgnMessage {
  readonly seq: number;
  readonly timestamp: string;
  readonly level: number;
  readonly facility: number;
  readonly caller: { readonly kind: 'task' | 'cpu'; readonly id: number };
  readonly device: string;
  readonly text: string;
}

const latin1 = (text: string) => Buffer.from(text, 'utf8').toString('latin1');

test.each([...DUMPS, '6.12-arm64-16k'] as const)('%s: every message matches drgn', (name) => {
  const { elf, kernel: of } = labDump(name);
  const kernel = openNative({ files: [elf] });
  const answer = messages(kernel, {});
  kernel.close();
  expect(answer.warnings).toEqual([]);
  expect({ ...answer, records: [], kernel: 0, warnings: 0 }).toMatchObject({
    complete: true,
    omitted: 0,
    overwritten: 0,
  });
  const theirs = drgnJson<DrgnMessage[]>(elf, of, new URL('log.py', import.meta.url));
  expect(theirs.length).toBeGreaterThan(200);
  // drgn leaves out messages without text.
  const ours = answer.records.filter(({ text }) => text !== '');
  expect(
    ours.map(({ seq, timestamp, level, facility, caller, device, text }) => ({
      seq,
      timestamp: String(timestamp),
      level,
      facility,
      caller,
      // For subsystem pci, drgn prints `+pci:…`, and for block devices their numbers.
      text: latin1(text),
      device: device === '' ? '' : 'some',
    })),
  ).toEqual(
    theirs
      .filter(({ text }) => text !== '')
      .map(({ device, ...message }) => ({ ...message, device: device === '' ? '' : 'some' })),
  );
});

test.each(ofRun(['5.10', '6.1', '6.12'] as const))(
  '%s after a panic: the command prints what crash’s log prints',
  async (name) => {
    const [file = ''] = labKdump(name).formats['lzo-d31'];
    const printed = execFileSync(labTool('crash'), ['-s', labKernel(name).vmlinux, file], {
      input: 'log\nquit\n',
      maxBuffer: 1 << 26,
      timeout: STEP_MS,
    });
    const theirs = printed.toString('latin1').trimEnd().split('\n');
    const { stdout, stderr, status } = await kdumpMem('log', '--strict', file);
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    const ours = stdout.trimEnd().split('\n');
    // Further lines of a message: crash indents them, the console repeats the time.
    const plain = (line: string) => line.replace(/^(\[ *\d+\.\d+\]| *) ?/, '').trim();
    expect(ours.map(plain)).toEqual(theirs.map(plain));
    const timed = theirs.filter((line) => line.startsWith('['));
    expect(timed.length).toBeGreaterThan(300);
    const times = new Set(ours.map((line) => line.trimEnd()));
    expect(timed.filter((line) => !times.has(line.trimEnd()))).toEqual([]);
    expect(stdout).toContain('sysrq: Trigger a crash');
  },
);

test('levels, facilities and times filter messages; JSON and NDJSON contain the same', async () => {
  const { elf } = labDump('6.1');
  const all = logSchema.parse(JSON.parse((await kdumpMem('log', '--json', elf)).stdout));
  const lines = (await kdumpMem('log', '--ndjson', elf)).stdout.trimEnd().split('\n');
  const end = logEndSchema.parse(JSON.parse(lines.pop() ?? ''));
  expect(end.listed).toBe(all.messages.length);
  expect(
    lines.map((line) => logMessageSchema.parse(JSON.parse(line))).map(({ schema: _, ...message }) => message),
  ).toEqual(all.messages);
  const chosen = async (...options: string[]) => {
    const { stdout } = await kdumpMem('log', '--json', ...options, elf);
    const { messages: some, omitted } = logSchema.parse(JSON.parse(stdout));
    expect(some.length + omitted).toBe(all.messages.length);
    return some;
  };
  const by = (choose: (message: (typeof all.messages)[number]) => boolean) => all.messages.filter(choose);
  expect(await chosen('--level', 'warn+')).toEqual(by(({ level }) => (level ?? 9) <= 4));
  expect(await chosen('--level', 'info,debug')).toEqual(by(({ level }) => (level ?? 0) >= 6));
  expect(await chosen('--facility', 'user,daemon')).toEqual(
    by(({ facilityName }) => facilityName === 'user' || facilityName === 'daemon'),
  );
  const last = Math.max(...all.messages.map((one) => one.timestampMicroseconds ?? Number.NaN));
  const late = await chosen('--since', '-1s');
  expect(late.length).toBeGreaterThan(0);
  expect(late.length).toBeLessThan(all.messages.length);
  const times = late.map((one) => one.timestampMicroseconds ?? Number.NaN);
  expect(last - Math.min(...times)).toBeLessThanOrEqual(1_000_001);
  const until = ((Math.min(...times) - 1) / 1e6).toFixed(6);
  const early = await chosen('--until', until);
  expect(early.length + late.length).toBeGreaterThanOrEqual(all.messages.length - 1);
});

test('an extract with the log gives the dump’s answer', async () => {
  const [file = ''] = labKdump('6.1').formats['lzo-d31'];
  const folder = mkdtempSync(join(tmpdir(), 'log-'));
  try {
    const small = join(folder, 'small.vmcore');
    expect((await kdumpMem('extract', '--with-log', '-o', small, file)).status).toBe(0);
    const whole = await kdumpMem('log', '--strict', '-x', '--callers', file);
    expect(await kdumpMem('log', '--strict', '-x', '--callers', small)).toEqual(whole);
    expect(whole.status).toBe(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a dump without its log is reported, with status 5 for --strict', async () => {
  const { vmcore } = (await import('../../support/fixtures.js')).fixture('6.1');
  const { stdout, stderr, status } = await kdumpMem('log', '--strict', vmcore);
  expect({ stdout, status }).toEqual({ stdout: '', status: 5 });
  expect(stderr).toContain('not in this extract');
});

test.each([
  ...DUMPS.map((name) => [name, 'left running', () => labDump(name).elf, []] as const),
  ...PANICKED_KERNELS.map((name) => [name, 'after a panic', () => labVmcore(name).elf, ['panic']] as const),
])('%s %s: the printed log, read as text, has the findings of the dump', async (...row) => {
  const [, , file, codes] = row;
  const elf = file();
  const kernel = openNative({ files: [elf] });
  const { records } = messages(kernel, {});
  kernel.close();
  const { stdout } = await kdumpMem('log', elf);
  const found = (of: Iterable<LogRecord | TextRecord>) =>
    logFindings(of, 4096).map(({ evidence, ...finding }) => ({
      ...finding,
      // The clock of a text has microseconds, and its numbers are line numbers.
      evidence: evidence.map((one) => one.kind === 'log' && one.text),
    }));
  const ofDump = found(records);
  expect(found(textRecords(stdout))).toEqual(ofDump);
  expect(ofDump.filter(({ severity }) => severity !== 'note').map(({ code }) => code)).toEqual(codes);
});
