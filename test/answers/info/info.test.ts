import { describe, expect, test } from 'vitest';
import {
  dumpTime,
  type InfoAnswer,
  impossibleFigures,
  infoJson,
  type KernelInfo,
} from '../../../src/answers/info/answer.js';
import { infoSchema } from '../../../src/answers/info/schema.js';
import { infoText } from '../../../src/answers/info/text.js';

const found = <Source extends string>(source: Source, detail: string) => ({ found: true, source, detail }) as const;
const lost = { found: false, code: 'filtered', why: 'filtered out of the dump' } as const;
const TASK = { cpu: 1, address: 0xffff_8880_0000_1000n, pid: 7, comm: 'evil\x1b[2J' };
const CLOCK = { wallClock: 1_763_612_345_000_000_000n, uptime: 3_723_000_000_000n, asleep: 0n };

const DUMP: InfoAnswer['dump'] = {
  files: [{ path: 'vmcore', bytes: 2 ** 20 }],
  format: 'diskdump',
  description: 'kdump compressed, version 6',
  compression: ['none', 'zstd'],
  machine: 'x86_64',
  dumpLevel: 31,
  filtered: ['zero', 'free'],
  stored: 2 ** 22,
  storedExact: true,
  live: false,
  anomalies: [],
};

const KERNEL: KernelInfo = {
  facts: { release: '6.1.0-39-amd64', arch: 'x86_64', pageSize: 4096, source: 'vmcore', engine: 'native', live: false },
  provenance: {
    vmcoreinfo: 'note',
    symbols: found('kallsyms', '100 symbols, one linear pass'),
    types: found('dump', '5,000 types'),
    directMap: found('kernel', '0xffff888000000000 (page_offset_base)'),
    pages: found('kernel', '0xffffea0000000000 (vmemmap_base)'),
    paging: '4-level page tables',
    anomalies: [],
  },
  moduleTypes: 1,
  machine: {
    uts: { nodename: 'host', release: '6.1.0-39-amd64', version: '#1 SMP Debian 6.1.1-1', machine: 'x86_64' },
    clock: CLOCK,
    online: [1],
    possible: [0, 1],
    ram: 2 ** 30,
    panic: { state: 'panicked', message: 'Kernel panic - not syncing: sysrq', cpu: 1, task: TASK, logRead: true },
    running: [TASK],
    taint: 1n << 12n,
    processes: { user: 1, kernel: 60 },
    modules: ['virtio', 'ext4'],
  },
  limits: [],
};

const answer = (machine: Partial<KernelInfo['machine']> = {}, rest: Partial<InfoAnswer> = {}): InfoAnswer => ({
  dump: DUMP,
  noted: { release: '6.1.0-39-amd64', buildId: 'abc', crashTime: 1_763_612_345 },
  kernel: { ...KERNEL, machine: { ...KERNEL.machine, ...machine } },
  missing: [],
  ...rest,
});

const UNKNOWN_KERNEL: Partial<InfoAnswer> = {
  missing: [
    { what: 'kernel', code: 'damaged', why: 'no page tables' },
    { what: 'symbols', code: 'damaged', why: 'no page tables' },
  ],
};

const without = ({ kernel: _, ...rest }: InfoAnswer): InfoAnswer => rest;

test.each<readonly [string, InfoAnswer]>([
  ['a crash', answer()],
  ['a kernel that cannot be read', without(answer({}, UNKNOWN_KERNEL))],
  ['a dump without facts', without(answer({}, { noted: {} }))],
  ['unknown facts', answer({ panic: { state: 'unknown', logRead: false }, running: [] })],
])('JSON of %s matches its schema', (_, one) => {
  expect(() => infoSchema.parse(infoJson(one))).not.toThrow();
});

test('JSON has the figures, and null for unknown ones', () => {
  expect(infoJson(answer())).toMatchObject({
    time: { at: '2025-11-20T04:19:05.000Z', from: 'crash', uptimeSeconds: 3723 },
    vendor: { id: 'debian' },
    kernel: {
      cpus: { online: 1, possible: 2 },
      taint: { mask: '0x1000', flags: [{ letter: 'O' }] },
      panic: { task: { address: '0xffff888000001000', pid: 7 } },
      modules: { names: ['virtio', 'ext4'], withTypes: 1 },
    },
  });
  const { kernel: _, ...unknown } = KERNEL.machine as KernelInfo['machine'] & { kernel?: undefined };
  const { uts, taint, modules, processes, ram, ...rest } = unknown;
  const bare = { ...answer(), noted: {}, kernel: { ...KERNEL, machine: rest } };
  expect(infoJson(bare).kernel).toMatchObject({
    version: null,
    taint: null,
    modules: null,
    processes: null,
    ramBytes: null,
  });
});

describe('text', () => {
  test.each<readonly [string, InfoAnswer, readonly RegExp[]]>([
    [
      'of a crash',
      answer(),
      [
        /^Linux 6\.1\.0-39-amd64 panicked: sysrq\n/,
        /^FORMAT +kdump compressed, version 6, zstd and plain pages$/m,
        /^FILTERED +zero pages, free pages \(level 31\)$/m,
        /^CRASHED +2025-11-20T04:19:05Z$/m,
        /^UPTIME +01:02:03$/m,
        /^CPUS +1 online, 2 possible \(a panic stops the other CPUs\)$/m,
        /^TASKS +1 process, 60 kernel threads$/m,
        /^PANIC TASK +pid 7 \(evil\\x1b\[2J\) on CPU 1$/m,
        /^VMCOREINFO +note in the kdump header$/m,
        /^SYMBOLS +kallsyms, 100 symbols$/m,
        /^MODULES +2 loaded, BTF types of 1$/m,
        /^UNSUPPORTED +nothing/m,
      ],
    ],
    [
      'without a panic',
      answer({ panic: { state: 'running', logRead: true } }),
      [/: no panic, dumped while running/, /^RUNNING +pid 7/m],
    ],
    [
      'of unknown state',
      answer({ panic: { state: 'unknown', logRead: false, cause: 'a cause' } }),
      [/: unknown whether it panicked/, /^LOGGED +a cause$/m],
    ],
    [
      'without a message',
      answer({ panic: { state: 'panicked', logRead: false } }),
      [/^PANIC +yes \(the log cannot be read\)$/m, /^PANIC TASK +unknown/m],
    ],
    [
      'without a message in the log',
      answer({ panic: { state: 'panicked', logRead: true, cause: 'BUG' } }),
      [/panicked: BUG/, /^PRECEDED BY +BUG$/m],
    ],
    [
      'of idle CPUs',
      answer({ panic: { state: 'running', logRead: true }, running: [{ ...TASK, pid: 0 }] }),
      [/^RUNNING +every CPU was idle$/m],
    ],
    ['of unknown tasks', answer({ panic: { state: 'running', logRead: true }, running: [] }), [/^RUNNING +unknown/m]],
    [
      'of many tasks',
      answer({ panic: { state: 'running', logRead: true }, running: Array(10).fill(TASK) }),
      [/ and 2 more$/m],
    ],
    ['of a clean kernel', answer({ taint: 0n }), [/^TAINT +none$/m]],
    ['of a long uptime', answer({ clock: { ...CLOCK, uptime: 90_061_000_000_000n } }), [/^UPTIME +1 day 01:01:01$/m]],
    [
      'of an unreadable kernel',
      without(answer({}, UNKNOWN_KERNEL)),
      [
        /^Dump of Linux 6\.1\.0-39-amd64: the kernel cannot be read/,
        /^Unknown:\n {2}kernel, symbols: no page tables$/m,
      ],
    ],
    [
      'of a running kernel',
      answer({}, { dump: { ...DUMP, live: true } }),
      [/, running\n/, /^FILTERED +nothing \(running kernel\)$/m],
    ],
    [
      'of an unknown level',
      answer({}, { dump: { ...DUMP, dumpLevel: undefined, filtered: undefined } }),
      [/^FILTERED +not recorded in this format$/m],
    ],
    [
      'of an unknown filter',
      answer({}, { dump: { ...DUMP, filtered: undefined, description: 'ELF, filtered' } }),
      [/^FILTERED +yes, but the format does not record/m],
    ],
    [
      'of a complete dump',
      answer({}, { dump: { ...DUMP, dumpLevel: 0, filtered: [], storedExact: false, anomalies: ['odd \x07'] } }),
      [/^FILTERED +nothing \(level 0\)$/m, /^CONTENT +at least 4\.00 MiB/m, /^NOTE +odd \\x07$/m],
    ],
    [
      'of two files',
      answer({}, { dump: { ...DUMP, files: [...DUMP.files, ...DUMP.files] } }),
      [/^FILES +vmcore, vmcore \(2\.00 MiB\)$/m],
    ],
  ])('%s', (_, one, lines) => {
    const text = infoText(one, null);
    for (const line of lines) expect(text).toMatch(line);
  });

  test('fits a terminal', () => {
    expect(
      Math.max(
        ...infoText(answer(), 60)
          .split('\n')
          .map(({ length }) => length),
      ),
    ).toBeLessThanOrEqual(60);
  });

  test('names parts that a command omits, and sources that were not found', () => {
    const limits = [{ command: 'skb', part: 'rings', code: 'unsupported-layout', why: 'no member' }] as const;
    const provenance = {
      ...KERNEL.provenance,
      vmcoreinfo: 'memory',
      types: { ...lost },
      typesVerified: 'none',
    } as const;
    const text = infoText({ ...answer(), kernel: { ...KERNEL, limits, provenance } }, null);
    expect(text).toMatch(/^UNSUPPORTED +skb omits rings: no member$/m);
    expect(text).toMatch(/^VMCOREINFO +found in memory \(no note\)$/m);
    expect(text).toMatch(/^TYPES +unknown \(see below\); not verified$/m);
  });
});

test.each([
  ['the crash', 1_763_612_345, CLOCK, { at: 1_763_612_345_000, from: 'crash', uptime: 3723 }],
  ['the crash without a clock', 1_763_612_345, undefined, { at: 1_763_612_345_000, from: 'crash' }],
  ['the crash before boot', 1_763_600_000, CLOCK, { at: 1_763_600_000_000, from: 'crash' }],
  ['the clock', undefined, CLOCK, { at: 1_763_612_345_000, from: 'clock', uptime: 3723 }],
  ['nothing', undefined, undefined, undefined],
  ['the year 10000', 253_402_300_800, undefined, undefined],
  ['before 1970', -1, undefined, undefined],
])('time of a dump: %s', (_, crashTime, clock, time) => {
  expect(dumpTime({ crashTime }, clock)).toEqual(time);
});

test('names the figures for which a requirement is missing', () => {
  const none = { ...KERNEL.provenance, symbols: lost, types: lost, directMap: lost, pages: lost };
  expect(impossibleFigures({ ...KERNEL, provenance: none }).map(({ what }) => what)).toEqual([
    'skb and sockets (no process can be found)',
    'skb, sockets and struct',
    'pages, orders and pinned bytes',
    'pages, orders and pinned bytes',
  ]);
  expect(impossibleFigures(KERNEL)).toEqual([]);
});
