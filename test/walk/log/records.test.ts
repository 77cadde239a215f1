import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Kernel } from '../../../src/kernel/kernel.js';
import type { LogRecord } from '../../../src/records/log-records.js';
import { readLog } from '../../../src/walk/log/log.js';
import { readPanic } from '../../../src/walk/log/panic.js';
import { logBackwards } from '../../../src/walk/log/records.js';
import { fieldsOf } from '../../../src/walk/machine/fields.js';
import { Unknowns, Warnings } from '../../../src/walk/warnings.js';
import { memoryOf } from '../../support/damaged-kernel.js';
import { madeKernel } from '../../support/made-kernel.js';
import { kernelWithRecords, RECORDS_AT, RECORDS_BASE, type RecordForm, RecordLog } from '../../support/made-records.js';

const BYTES = 1024;
const LINES = Array.from({ length: 90 }, (_, i) => `line ${i} ${'x'.repeat((i * 7) % 61)}`);

function filled(count: number, form: RecordForm = 'plain', size = BYTES): RecordLog {
  const log = new RecordLog(size, form);
  for (const [index, text] of LINES.slice(0, count).entries())
    log.store({ text, level: index % 8, facility: index % 24, caller: callerOf(index) });
  return log;
}

const callerOf = (index: number) => (index % 2 === 0 ? 100 + index : 0x8000_0000 + (index % 4));

/** Leaves the variables of the kernel untouched: a log of n messages has the last n of the lines. */
function keptOf(log: RecordLog): string[] {
  return LINES.slice(log.firstSeq, log.nextSeq);
}

function read(kernel = kernelWithRecords(filled(9))) {
  const warnings = new Warnings();
  const log = readLog(kernel, fieldsOf(kernel), warnings);
  const records: LogRecord[] = [];
  for (;;) {
    const { done, value } = log.next();
    if (done) return { records, rest: value, messages: warnings.list().map((one) => one.message) };
    records.push(value);
  }
}

/** A kernel with its log and pending messages: lengths in `cont` and in the buffers of two CPUs. */
function withPending(words: Readonly<Record<number, bigint | readonly [number, 4]>>): Kernel {
  const log = kernelWithRecords(filled(9));
  const pending = madeKernel({
    structs: {
      cpumask: { size: 8, members: {} },
      cont: { size: 1024, members: { buf: [0, 992], len: 992 } },
      printk_safe_seq_buf: { size: 4096, members: { len: [0, 4], message_lost: [4, 4], buffer: [16, 4080] } },
    },
    symbols: {
      __cpu_possible_mask: 0,
      nr_cpu_ids: 8,
      __per_cpu_offset: 16,
      cont: 0x100,
      nmi_print_seq: 0x1000,
      safe_print_seq: 0x2000,
    },
    words: { 0: 3n, 8: [2, 4], 16: 0n, 24: 0x4000n, ...words },
  });
  return {
    ...log,
    read: (address, length) => (address < RECORDS_BASE ? pending.read(address, length) : log.read(address, length)),
    symbol: (name) => log.symbol(name) ?? pending.symbol(name),
    struct: pending.struct,
  };
}

test('names pending messages, and does not add them to the log', () => {
  expect(read(withPending({})).messages).toEqual([]);
  const { records, messages } = read(
    withPending({ [0x100 + 992]: 17n, [0x5000]: [212, 4], [0x2000]: [30, 4], [0x2004]: [4, 4] }),
  );
  expect(records.map(({ text }) => text)).toEqual(LINES.slice(0, 9));
  const [nul] = JSON.stringify('\0').match(/[^"]+/)!;
  expect(messages).toEqual([
    `an incomplete message of 17 bytes was not yet in the log: "${nul.repeat(17)}"`,
    `CPU 1 had 212 bytes of messages (nmi_print_seq) that were not yet in the log, and lost 0 messages: "${nul.repeat(212)}"`,
    `CPU 0 had 30 bytes of messages (safe_print_seq) that were not yet in the log, and lost 4 messages: "${nul.repeat(30)}"`,
  ]);
});

test('shows pending messages without their level prefixes', () => {
  const words = (at: number, text: string) => {
    const bytes = Buffer.alloc(Math.ceil(text.length / 8) * 8);
    bytes.write(text, 'latin1');
    return Array.from(
      { length: bytes.length / 8 },
      (_, index) => [at + 8 * index, bytes.readBigUInt64LE(8 * index)] as const,
    );
  };
  const nmi = '\x010NMI backtrace for cpu 1\n\x014CPU: 1 PID: 0\n';
  const fragment = 'Freeing unused memory: ';
  const written = [...words(0x100, fragment), ...words(0x5010, nmi)];
  const lengths = { [0x100 + 992]: BigInt(fragment.length), [0x5000]: [nmi.length, 4] as const };
  const kernel = withPending({ ...Object.fromEntries(written), ...lengths });
  expect(read(kernel).messages).toEqual([
    'an incomplete message of 23 bytes was not yet in the log: "Freeing unused memory:"',
    `CPU 1 had ${nmi.length} bytes of messages (nmi_print_seq) that were not yet in the log, and lost 0 messages: "NMI backtrace for cpu 1\\nCPU: 1 PID: 0"`,
  ]);
  // More than the buffer has room for.
  expect(read(withPending({ [0x5000]: [4081, 4] })).messages).toEqual([
    expect.stringContaining('has 4081 bytes in a buffer of 4080'),
  ]);
});

test('names a CPU whose buffer is unreadable', () => {
  const { records, messages } = read(withPending({ 24: 0x1000_0000n }));
  expect(records).toHaveLength(9);
  expect(messages).toEqual([expect.stringContaining('messages that were not yet in the log: ')]);
});

function damaged(log: RecordLog, at: number, value: bigint, bytes: number) {
  const { set, damagedBy } = memoryOf(kernelWithRecords(log));
  return read(damagedBy(set(RECORDS_BASE + BigInt(at), bytes, value)));
}

describe('the log of records before 5.10', () => {
  test.each(['plain', 'with-caller'] as const)('%s: returns every message, however often it wrapped', (form) => {
    for (let count = 0; count <= LINES.length; count++) {
      const log = filled(count, form);
      const { records, rest, messages } = read(kernelWithRecords(log));
      expect(messages).toEqual([]);
      expect(rest).toEqual({ overwritten: 0, noRoom: 0 });
      expect(records).toEqual(
        keptOf(log).map((text, place) => {
          const seq = log.firstSeq + place;
          const by = callerOf(seq);
          return {
            seq,
            text,
            timestamp: BigInt(seq) * 1_000_000n,
            level: seq % 8,
            facility: seq % 24,
            caller: form === 'plain' ? null : { kind: by > 0x7fff_ffff ? 'cpu' : 'task', id: by & 0x7fff_ffff },
            comm: '',
            subsystem: '',
            device: '',
          };
        }),
      );
      const backwards = [...logBackwards(kernelWithRecords(log), fieldsOf(kernelWithRecords(log)))];
      expect(backwards.map(({ text }) => text)).toEqual(keptOf(log).reverse());
    }
  });

  test('reads devices, empty and multi-line texts, and line fragments', () => {
    const log = new RecordLog(BYTES);
    const LOG_CONT = 8;
    log.store({ text: 'found', dict: 'SUBSYSTEM=pci\0DEVICE=+pci:0000:00:1f.2' });
    log.store({ text: '' });
    log.store({ text: 'one\ntwo' });
    log.store({ text: 'begun ', flags: LOG_CONT });
    log.store({ text: 'and ended', flags: LOG_CONT | 2 });
    const { records, messages } = read(kernelWithRecords(log));
    expect(messages).toEqual([]);
    expect(records[0]).toMatchObject({ subsystem: 'pci', device: '+pci:0000:00:1f.2' });
    // As dmesg and crash print them: a line that another context interrupted stays split.
    expect(records.map(({ text }) => text)).toEqual(['found', '', 'one\ntwo', 'begun ', 'and ended']);
  });

  test('reads a log that was copied from the smaller, wrapped log of early boot', () => {
    const early = filled(40, 'plain', 512);
    expect(early.nextIdx).toBeLessThan(early.firstIdx);
    const log = new RecordLog(4096);
    log.bytes.set(early.bytes);
    Object.assign(log, {
      firstIdx: early.firstIdx,
      nextIdx: early.nextIdx,
      firstSeq: early.firstSeq,
      nextSeq: early.nextSeq,
    });
    const { records, messages } = read(kernelWithRecords(log));
    expect(messages).toEqual([]);
    expect(records.map(({ text }) => text)).toEqual(keptOf(early));
  });

  test('counts sequence numbers from 0 if VMCOREINFO does not name them, with a warning', () => {
    const log = filled(40);
    const without = ['log_first_seq', 'log_next_seq'];
    const { records, messages } = read(kernelWithRecords(log, { without }));
    expect(records.map(({ text }) => text)).toEqual(keptOf(log));
    expect(records[0]?.seq).toBe(0);
    expect(messages).toEqual(['sequence numbers of messages are unknown (missing symbol): they are counted from 0']);
  });

  test('finds a panic in the log', () => {
    const log = filled(20);
    log.store({ text: 'sysrq: SysRq : Trigger a crash', level: 6 });
    log.store({ text: 'Kernel panic - not syncing: sysrq triggered crash', level: 0 });
    const kernel = kernelWithRecords(log);
    const panic = readPanic(kernel, fieldsOf(kernel), false, new Unknowns());
    expect(panic).toMatchObject({ state: 'panicked', message: 'Kernel panic - not syncing: sysrq triggered crash' });
  });

  test('omits what a live log overwrites during the read, and never mixes records', () => {
    const log = filled(60);
    const before = log.firstSeq;
    const kernel = kernelWithRecords(log, { live: true });
    const warnings = new Warnings();
    const records: LogRecord[] = [];
    const reading = readLog(kernel, fieldsOf(kernel), warnings);
    for (let step = 0; ; step++) {
      const { done, value } = reading.next();
      if (done) {
        expect(value.overwritten).toBeGreaterThan(0);
        break;
      }
      records.push(value);
      log.store({ text: LINES[log.nextSeq]! });
      if (step === 4) for (let more = 0; more < 8; more++) log.store({ text: LINES[log.nextSeq]! });
    }
    expect(records[0]?.seq).toBe(before);
    expect(records.map(({ text }) => text)).toEqual(records.map(({ seq }) => LINES[seq]));
    expect(warnings.list()).toEqual([]);
  });
});

describe('damage to a log of records', () => {
  const log = filled(60);
  const at = (offset: number) => RECORDS_AT.buffer + offset;
  const kept = keptOf(log);

  test('skips one inconsistent record, and finds those after it with their numbers', () => {
    const second = log.firstIdx + new DataView(log.bytes.buffer).getUint16(log.firstIdx + 8, true);
    const { records, messages } = damaged(log, at(second + 8), 7n, 2);
    expect(records.map(({ seq }) => seq)).toEqual(
      kept.map((_, index) => log.firstSeq + index).filter((seq) => seq !== log.firstSeq + 1),
    );
    expect(records.map(({ text }) => text)).toEqual(records.map(({ seq }) => LINES[seq]));
    expect(messages).toHaveLength(1);
    expect(messages[0]).toMatch(
      new RegExp(`^kernel log, before message ${log.firstSeq + 2}: a log record has a length of 7 bytes, but contains`),
    );
  });

  test('reads the messages around a missing page in the middle', () => {
    const { lose, damagedBy } = memoryOf(kernelWithRecords(log));
    const { records, messages } = read(damagedBy(lose(RECORDS_BASE + BigInt(at(512)), 64, 'absent')));
    expect(messages).not.toEqual([]);
    expect(records.length).toBeGreaterThan(kept.length / 2);
    expect(records.map(({ text }) => text)).toEqual(records.map(({ seq }) => LINES[seq]));
  });

  test.each([
    ['log_first_idx', 4n],
    ['log_next_idx', 4n],
    ['log_first_seq', 3n],
    ['log_next_seq', 500n],
    ['log_buf_len', 0n],
    ['log_first_idx', 4096n],
  ] as const)('reports %s = %d as a contradiction', (name, value) => {
    const attempt = () => damaged(log, RECORDS_AT[name], value, name.endsWith('seq') ? 8 : 4);
    let messages: readonly string[];
    try {
      ({ messages } = attempt());
    } catch (error) {
      messages = [(error as Error).message];
    }
    expect(messages.length).toBeGreaterThan(0);
  });

  test('never returns wrong text as complete if bytes of headers and variables are damaged', () => {
    const view = new DataView(log.bytes.buffer);
    const heads: number[] = [];
    for (let place = log.firstIdx; place !== log.nextIdx; ) {
      heads.push(place);
      const length = view.getUint16(place + 8, true);
      place = length === 0 ? 0 : place + length;
    }
    const sites = [
      ...heads.flatMap((head) => [8, 9, 10, 11, 12, 13].map((byte) => at(head + byte))),
      ...Object.entries(RECORDS_AT).flatMap(([name, offset]) =>
        name === 'buffer' || name === 'panic_cpu' ? [] : [0, 1, 2].map((byte) => offset + byte),
      ),
    ];
    fc.assert(
      fc.property(fc.constantFrom(...sites), fc.integer({ min: 0, max: 255 }), (site, value) => {
        const memory = kernelWithRecords(log).read(RECORDS_BASE + BigInt(site), 1);
        if (memory.getUint8(0) === value) return;
        let result: ReturnType<typeof read>;
        try {
          result = damaged(log, site, BigInt(value), 1);
        } catch (error) {
          expect((error as { code?: string }).code).toBeDefined();
          return;
        }
        const texts = result.records.map(({ seq, text }) => [seq, text]);
        const right = kept.map((text, index) => [log.firstSeq + index, text]);
        if (result.messages.length === 0) expect(texts).toEqual(right);
      }),
      { numRuns: 3000 },
    );
  });
});
