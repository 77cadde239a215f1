import { describe, expect, test } from 'vitest';
import { describeInfo } from '../../../src/answers/info/answer.js';
import { infoText } from '../../../src/answers/info/text.js';
import { jsonOf } from '../../../src/base/util.js';
import { type InfoAnswer, infoSchema } from '../../../src/contracts/info.js';
import type { NativeKernel } from '../../../src/kernel/native/kernel.js';
import { dumpTime } from '../../../src/walk/machine/clock.js';
import { Unknowns } from '../../../src/walk/warnings.js';
import { fixtureKernel } from '../../support/opened-kernel.js';

const found = (source: string, detail: string) => ({ found: true, source, detail }) as const;
const lost = { found: false, code: 'filtered', why: 'filtered out of the dump' } as const;
const TASK = { cpu: 1, address: 0xffff_8880_0000_1000n, pid: 7, comm: 'evil\x1b[2J' };
const CLOCK = { wallClock: 1_763_612_345_000_000_000n, uptime: 3_723_000_000_000n, asleep: 0n };

type Kernel = NonNullable<InfoAnswer['kernel']>;

const DUMP: InfoAnswer['dump'] = {
  files: [{ path: 'vmcore', bytes: 2 ** 20 }],
  format: 'diskdump',
  description: 'kdump compressed, version 6',
  compression: ['none', 'zstd'],
  machine: 'x86_64',
  dumpLevel: 31,
  filtered: ['zero', 'free'],
  storedBytes: 2 ** 22,
  storedExact: true,
  live: false,
  anomalies: [],
};

const NO_PANIC: Kernel['panic'] = { state: 'running', message: null, cause: null, cpu: null, task: null };

const KERNEL: Kernel = {
  release: '6.1.0-39-amd64',
  arch: 'x86_64',
  pageSize: 4096,
  source: 'vmcore',
  engine: 'native',
  version: '#1 SMP Debian 6.1.1-1',
  nodename: 'host',
  machine: 'x86_64',
  paging: '4-level page tables',
  cpus: { online: 1, possible: 2 },
  ramBytes: 2 ** 30,
  panic: { state: 'panicked', message: 'Kernel panic - not syncing: sysrq', cause: null, cpu: 1, task: TASK },
  running: [TASK],
  taint: { mask: 1n << 12n, flags: [{ letter: 'O', words: 'module built out of tree' }] },
  processes: { user: 1, kernel: 60 },
  modules: { names: ['virtio', 'ext4'], withTypes: 1 },
  sources: {
    vmcoreinfo: 'note',
    symbols: found('kallsyms', '100 symbols, one linear pass'),
    types: found('dump', '5,000 types'),
    typesVerified: null,
    directMap: found('kernel', '0xffff888000000000 (page_offset_base)'),
    pages: found('kernel', '0xffffea0000000000 (vmemmap_base)'),
    anomalies: [],
  },
  limits: [],
};

const answer = (kernel: Partial<Kernel> = {}, rest: Partial<InfoAnswer> = {}): InfoAnswer => ({
  schema: 'kdump-mem.info/1',
  dump: DUMP,
  noted: { release: '6.1.0-39-amd64', buildId: 'abc' },
  vendor: { id: 'debian', name: 'Debian', stream: '12' },
  time: { at: '2025-11-20T04:19:05.000Z', from: 'crash', uptimeSeconds: 3723 },
  kernel: { ...KERNEL, ...kernel },
  missing: [],
  ...rest,
});

const UNREADABLE: Partial<InfoAnswer> = {
  kernel: null,
  missing: [
    { what: 'kernel', code: 'damaged', why: 'no page tables' },
    { what: 'symbols', code: 'damaged', why: 'no page tables' },
  ],
};
const NO_LOG: Partial<InfoAnswer> = { missing: [{ what: 'the log', code: 'filtered', why: 'filtered out' }] };

const { kernel } = fixtureKernel('6.1');

/** The answer about the kernel of a fixture, with some of its sources changed. */
function described(sources: Partial<NativeKernel['provenance']> = {}): InfoAnswer {
  const provenance = { ...kernel.provenance, ...sources };
  const of = new Proxy(kernel, {
    get(target, key) {
      const value: unknown = key === 'provenance' ? provenance : Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return describeInfo(DUMP, { crashTime: 1_763_612_345 }, new Unknowns(), of);
}

test.each<readonly [string, InfoAnswer]>([
  ['a crash', answer()],
  ['a kernel that cannot be read', answer({}, UNREADABLE)],
  ['a dump without facts', describeInfo(DUMP, {}, new Unknowns())],
  ['unknown facts', answer({ panic: { ...NO_PANIC, state: 'unknown' }, running: [], taint: null, modules: null })],
])('JSON of %s matches its schema', (_, one) => {
  expect(() => infoSchema.parse(jsonOf(one))).not.toThrow();
});

test('a dump without a kernel has the facts of its headers', () => {
  const noted = { release: '6.1.0-39-amd64', buildId: 'abc', crashTime: 1_763_612_345 };
  expect(describeInfo(DUMP, noted, new Unknowns())).toEqual({
    ...answer({}, { kernel: null, vendor: { id: 'debian', name: 'Debian', stream: '12' } }),
    time: { at: '2025-11-20T04:19:05.000Z', from: 'crash', uptimeSeconds: null },
  });
});

test('the figures of a kernel', () => {
  expect(infoSchema.parse(jsonOf(described()))).toEqual(described());
  expect(described()).toMatchObject({
    time: { at: '2025-11-20T04:19:05.000Z', from: 'crash' },
    vendor: { id: 'debian', stream: '12' },
    kernel: { cpus: { online: 2, possible: 2 }, version: expect.stringContaining('Debian'), limits: [] },
  });
  // The fixture has no log.
  expect(described().missing.map(({ what }) => what)).toEqual(['the log']);
});

test('names the figures for which a requirement is missing', () => {
  const none = { symbols: lost, types: lost, directMap: lost, pages: lost };
  const { missing, kernel: facts } = described(none);
  expect(missing.slice(0, 4).map(({ what }) => what)).toEqual([
    'skb and sockets (no process can be found)',
    'skb, sockets and struct',
    'pages, orders and pinned bytes',
    'pages, orders and pinned bytes',
  ]);
  expect(facts?.limits).toBeNull();
  expect(described().missing.map(({ what }) => what)).not.toContain('skb, sockets and struct');
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
    ['without a panic', answer({ panic: NO_PANIC }), [/: no panic, dumped while running/, /^RUNNING +pid 7/m]],
    [
      'of unknown state',
      answer({ panic: { ...NO_PANIC, state: 'unknown', cause: 'a cause' } }),
      [/: unknown whether it panicked/, /^LOGGED +a cause$/m],
    ],
    [
      'without a message',
      answer({ panic: { ...NO_PANIC, state: 'panicked' } }, NO_LOG),
      [/^PANIC +yes \(the log cannot be read\)$/m, /^PANIC TASK +unknown/m],
    ],
    [
      'without a message in the log',
      answer({ panic: { ...NO_PANIC, state: 'panicked', cause: 'BUG' } }),
      [/panicked: BUG/, /^PANIC +yes \(no message in the log\)$/m, /^PRECEDED BY +BUG \(need not be the cause\)$/m],
    ],
    ['of idle CPUs', answer({ panic: NO_PANIC, running: [{ ...TASK, pid: 0 }] }), [/^RUNNING +every CPU was idle$/m]],
    ['of unknown tasks', answer({ panic: NO_PANIC, running: [] }), [/^RUNNING +unknown/m]],
    ['of many tasks', answer({ panic: NO_PANIC, running: Array(10).fill(TASK) }), [/ and 2 more$/m]],
    ['of a clean kernel', answer({ taint: { mask: 0n, flags: [] } }), [/^TAINT +none$/m]],
    [
      'of a long uptime',
      answer({}, { time: { at: '2025-11-20T04:19:05.000Z', from: 'clock', uptimeSeconds: 90_061 } }),
      [/^UPTIME +1 day 01:01:01$/m],
    ],
    [
      'of an unreadable kernel',
      answer({}, UNREADABLE),
      [
        /^Dump of Linux 6\.1\.0-39-amd64: the kernel cannot be read/,
        /^Unknown:\n {2}kernel, symbols: no page tables$/m,
      ],
    ],
    [
      'of many modules without types',
      answer(
        {},
        {
          missing: ['tun', 'x'].map((name) => ({
            what: 'types of a module',
            code: 'no-types' as const,
            why: `${name}: filtered`,
          })),
        },
      ),
      [/^Unknown:\n {2}2 × types of a module, the first: tun: filtered$/m],
    ],
    [
      'of a running kernel',
      answer({}, { dump: { ...DUMP, live: true } }),
      [/, running\n/, /^FILTERED +nothing \(running kernel\)$/m],
    ],
    [
      'of an unknown level',
      answer({}, { dump: { ...DUMP, dumpLevel: null, filtered: null } }),
      [/^FILTERED +not recorded in this format$/m],
    ],
    [
      'of an unknown filter',
      answer({}, { dump: { ...DUMP, filtered: null, description: 'ELF, filtered' } }),
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
    const text = infoText(one, null, '--vmcore x');
    for (const line of lines) expect(text).toMatch(line);
  });

  test('the event before a crash need not be its cause, except before a requested crash', () => {
    const cause = (message: string, preceding: string) =>
      infoText(answer({ panic: { ...KERNEL.panic, state: 'panicked', message, cause: preceding } }), null, '');
    expect(cause('Kernel panic - not syncing: BUG', 'Oops')).toMatch(/^PRECEDED BY +Oops \(need not be the cause\)$/m);
    expect(cause('Kernel panic - not syncing: sysrq triggered crash', 'sysrq: Trigger a crash')).toMatch(
      /^PRECEDED BY +sysrq: Trigger a crash$/m,
    );
  });

  test('a crash leads to its triage, since what preceded it need not be its cause', () => {
    const panic = (state: 'panicked' | 'running') =>
      infoText(answer({ panic: { ...KERNEL.panic, state } }), null, '--vmcore x')
        .split('\n')
        .at(-1);
    expect(panic('panicked')).toBe('Next: kdump-mem triage --vmcore x');
    expect(panic('running')).not.toContain('Next:');
  });

  test('fits a terminal', () => {
    expect(
      Math.max(
        ...infoText(answer(), 60, '--vmcore x')
          .split('\n')
          .map(({ length }) => length),
      ),
    ).toBeLessThanOrEqual(60);
  });

  test('names parts that a command omits, and sources that were not found', () => {
    const limits = [{ command: 'skb', part: 'rings', code: 'unsupported-layout', why: 'no member' }] as const;
    const sources = { ...KERNEL.sources, vmcoreinfo: 'memory', types: lost, typesVerified: 'none' } as const;
    const text = infoText(answer({ limits, sources }), null, '--vmcore x');
    expect(text).toMatch(/^UNSUPPORTED +skb omits rings: no member$/m);
    expect(text).toMatch(/^VMCOREINFO +found in memory \(no note\)$/m);
    expect(text).toMatch(/^TYPES +unknown \(see below\); not verified$/m);
  });
});

test.each([
  ['the crash', 1_763_612_345, CLOCK, { at: '2025-11-20T04:19:05.000Z', from: 'crash', uptimeSeconds: 3723 }],
  [
    'the crash without a clock',
    1_763_612_345,
    undefined,
    { at: '2025-11-20T04:19:05.000Z', from: 'crash', uptimeSeconds: null },
  ],
  [
    'the crash before boot',
    1_763_600_000,
    CLOCK,
    { at: '2025-11-20T00:53:20.000Z', from: 'crash', uptimeSeconds: null },
  ],
  ['the clock', undefined, CLOCK, { at: '2025-11-20T04:19:05.000Z', from: 'clock', uptimeSeconds: 3723 }],
  ['nothing', undefined, undefined, null],
  ['the year 10000', 253_402_300_800, undefined, null],
  ['before 1970', -1, undefined, null],
])('time of a dump: %s', (_, crashTime, clock, time) => {
  expect(dumpTime({ crashTime, clock })).toEqual(time);
});
