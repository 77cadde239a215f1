import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { messages } from '../../../src/account/log.js';
import { vmcoreinfoNote, writeElf } from '../../support/dump/elf.js';
import { labTool } from '../../support/lab.js';
import { HEADER_BYTES, RECORDS_AT, type RecordForm, RecordLog, recordsMemory } from '../../support/made-records.js';
import { SYNTHETIC_MEMORY, SYNTHETIC_RELEASE, syntheticKernel } from '../../support/native-kernel.js';
import { askDump } from '../../support/opened-kernel.js';

/** Addresses of the log's variables in the synthetic kernel's data. */
const AT = 0x8000n;

/** A dump of a kernel with that log and without types, as an ELF file. */
function dumpOf(log: RecordLog, release: string): Uint8Array {
  const made = syntheticKernel({ btf: new Uint8Array(0), named: false });
  const { bytes, base } = recordsMemory(log, made.at.data + AT);
  for (let at = 0; at < bytes.length; at += 4096)
    made.memory.write(made.physical(base) + at, bytes.subarray(at, at + 4096));
  const offsets = { ts_nsec: 0, len: 8, text_len: 10, dict_len: 12 };
  const caller = log.form === 'with-caller' ? { caller_id: 16 } : {};
  const text = [
    made.text.replace(SYNTHETIC_RELEASE, release),
    ...['log_buf', 'log_buf_len', 'log_first_idx', 'clear_idx', 'log_next_idx'].map(
      (name) => `SYMBOL(${name})=${(base + BigInt(placeOf(name))).toString(16)}\n`,
    ),
    'OFFSET(page.flags)=0\nOFFSET(page.mapping)=24\n',
    `SIZE(printk_log)=${HEADER_BYTES[log.form]}\n`,
    ...Object.entries({ ...offsets, ...caller }).map(([name, offset]) => `OFFSET(printk_log.${name})=${offset}\n`),
  ].join('');
  const data = new Uint8Array(SYNTHETIC_MEMORY);
  for (const [frame, page] of made.memory.pages) data.set(page, frame * 4096);
  const uts = Buffer.from(data.buffer).indexOf(SYNTHETIC_RELEASE);
  data.fill(0, uts, uts + 65);
  data.set(Buffer.from(release), uts);
  return writeElf({
    loads: [
      { physical: 0n, virtual: made.directMap, data },
      {
        physical: BigInt(made.physical(made.at.text)),
        virtual: made.at.text,
        data: data.subarray(made.physical(made.at.text), made.physical(made.at.text) + (8 << 20)),
      },
    ],
    notes: [vmcoreinfoNote(text)],
  });
}

function placeOf(name: string): number {
  // Addresses of the kernel's own variables stay; clear_idx is at the oldest message.
  return name === 'clear_idx' ? RECORDS_AT.log_first_idx : RECORDS_AT[name as 'log_buf'];
}

test.each([
  ['4.14.336', 'plain', 12],
  ['4.18.0-147.el8.x86_64', 'plain', 400],
  ['5.4.0-150-generic', 'with-caller', 400],
] as const)('%s: makedumpfile prints the same messages of a synthetic dump', (release, form, count) => {
  const log = made(form, count);
  const folder = mkdtempSync(join(tmpdir(), 'kdump-mem-records-'));
  try {
    const dump = join(folder, 'vmcore');
    writeFileSync(dump, dumpOf(log, release));
    const printed = join(folder, 'dmesg');
    execFileSync(labTool('makedumpfile'), ['--dump-dmesg', dump, printed], { stdio: 'pipe' });
    const answer = askDump(dump, (kernel) => messages(kernel, {}));
    // VMCOREINFO does not name the variables with the message numbers.
    expect(answer.warnings.map(({ code }) => code)).toEqual(['unsupported-layout']);
    expect(answer.records).toHaveLength(log.nextSeq - log.firstSeq);
    if (count > 100) expect(log.firstSeq).toBeGreaterThan(0);
    const lines = answer.records.map(({ timestamp, text, caller }) => {
      const seconds = String(timestamp / 1_000_000_000n).padStart(5);
      const micros = String((timestamp % 1_000_000_000n) / 1000n).padStart(6, '0');
      const by = caller && ` [${`${caller.kind === 'cpu' ? 'C' : 'T'}${caller.id}`.padStart(8)}]`;
      return `[${seconds}.${micros}]${by ?? ''} ${text}`;
    });
    const theirs = readFileSync(printed, 'latin1').trimEnd();
    expect(`${lines.join('\n')}`).toBe(theirs);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

function made(form: RecordForm, count: number): RecordLog {
  const log = new RecordLog(16_384, form);
  for (let index = 0; index < count; index++)
    log.store({
      text: `message ${index} ${'y'.repeat((index * 37) % 190)}`,
      time: BigInt(index) * 1_234_567_891n,
      level: index % 8,
      caller: index % 3 === 0 ? 0x8000_0001 : index,
      ...(index % 5 === 0 ? { dict: `SUBSYSTEM=pci\0DEVICE=+pci:0000:00:${index}` } : {}),
    });
  return log;
}
