import { expect, test } from 'vitest';
import type { LogAnswer } from '../../../src/account/log.js';
import { type Category, makeCategory } from '../../../src/account/memory/tree.js';
import { triageJson } from '../../../src/answers/triage/json.js';
import { triageText } from '../../../src/answers/triage/text.js';
import { KernelError } from '../../../src/base/errors.js';
import type { StacksAnswer } from '../../../src/contracts/task-stacks.js';
import { triageSchema } from '../../../src/contracts/triage.js';
import type { KernelTriage } from '../../../src/triage/answer.js';
import type { Finding } from '../../../src/triage/finding.js';
import { logFindings } from '../../../src/triage/log/log-findings.js';
import { withRules } from '../../../src/triage/rules/apply.js';
import { readRules } from '../../../src/triage/rules/read.js';
import { recordsOf } from '../log/records.js';

const GIB = 2 ** 30;

const records = (...lines: readonly string[]) => [
  ...recordsOf(lines.map((line) => `<4>[    1.000000] ${line}`).join('\n')),
];

const category = (name: Category['category'], bytes: number, more: Partial<Category> = {}): Category =>
  makeCategory({ category: name, bytes, frames: bytes / 4096, known: 'walked', complete: true, ...more });

const MEMORY = category('memory', 8 * GIB, {
  children: [
    category('kernel', 4 * GIB, {
      children: [
        category('network-sockets', 2 * GIB, {
          owners: [{ kind: 'process', name: 'nginx', pid: 11, bytes: 1.5 * GIB }],
        }),
        category('vmalloc', 2 * GIB, { complete: false, why: 'torn' }),
      ],
    }),
    category('applications-and-files', 4 * GIB, { children: [category('anonymous', 4 * GIB)] }),
  ],
});

const stacks = (complete: boolean, guess = false): StacksAnswer =>
  ({
    complete,
    tasks: 2,
    warnings: [],
    stacks: [
      {
        end: 'user',
        why: null,
        tasks: [
          { pid: 3, comm: 'cp' },
          { pid: 4, comm: 'cp' },
        ],
        frames: [{ address: 1n, interrupted: false, guess, symbol: 'nfs_wait', offset: 1, module: null }],
      },
    ],
  }) as unknown as StacksAnswer;

const WHOLE = { overwritten: 0, noRoom: 0, complete: true, warnings: [] };
const LOG = ['mlx card0: health: hot, level 3', 'mlx card1: health: cold, level 1', 'mlx card0: health: hot, level 3'];

function answer(more: Partial<KernelTriage> = {}, lines = LOG, log: object = WHOLE): KernelTriage {
  return {
    kernel: {
      release: '6.1.0-9',
      arch: 'x86_64',
      pageSize: 4096,
      live: false,
      source: 'vmcore',
      engine: 'native',
    } as KernelTriage['kernel'],
    machine: { panic: { state: 'running', logRead: true }, running: [], taint: 4096n, modules: ['ext4', 'mlx5_core'] },
    findings: logFindings(records(...lines), 4096),
    log: { ...log, records: records(...lines) } as unknown as LogAnswer,
    lost: { overwritten: 0, noRoom: 0 },
    memory: { memory: MEMORY } as unknown as KernelTriage['memory'],
    census: undefined,
    warnings: [],
    complete: true,
    ...more,
  };
}

/** The result of one rule for an answer. */
function resultOf(
  when: object,
  input = answer(),
  ask: () => StacksAnswer = () => stacks(true),
): { met: boolean; figures: object | undefined; why: string | undefined } {
  const rule = { code: 'acme/a', severity: 'warning', when, message: 'x' };
  const file = { schema: 'kdump-mem.rules/1', rules: [rule] };
  const { findings, rules } = withRules(input, readRules('r', JSON.stringify(file)), ask);
  const [found] = findings.filter(({ code }) => code === 'acme/a');
  expect(rules).toMatchObject({ rules: 1, matched: found ? 1 : 0 });
  return { met: found !== undefined, figures: found?.figures, why: rules?.unknown[0]?.why };
}

const MET = (figures: object) => ({ met: true, figures, why: undefined });
const NOT = { met: false, figures: undefined, why: undefined };
const UNKNOWN = (why: unknown) => ({ met: false, figures: undefined, why });

const OOM = [
  'java invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0',
  'Memory cgroup out of memory: Killed process 7 (java) total-vm:10kB, anon-rss:8kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:1kB oom_score_adj:0',
];

test.each<[string, object, object]>([
  ['a line', { log: 'mlx {card}: health: *3' }, MET({ card: 'card0', logTimes: 2 })],
  ['no such line', { log: 'mlx *: gone' }, NOT],
  ['a release', { release: '6.1.*' }, MET({ kernelRelease: '6.1.0-9' })],
  ['another release', { release: '6.2*' }, NOT],
  ['no panic', { panic: '*' }, NOT],
  ['taint', { taint: 'O' }, MET({ taintFlags: 'O' })],
  ['other taint', { taint: 'OE' }, NOT],
  ['a module', { module: 'mlx{n:number}_core' }, MET({ moduleName: 'mlx5_core', n: 5 })],
  ['no such module', { module: 'nvidia' }, NOT],
  [
    'a category by its share',
    { memory: { category: 'network-sockets', atLeastShare: 0.25 } },
    MET({ memoryBytes: 2 * GIB, memoryShare: 0.25 }),
  ],
  ['less than required', { memory: { category: 'network-sockets', atLeastBytes: '3 GiB' } }, NOT],
  ['more than required', { memory: { category: 'network-sockets', atMostBytes: 1 } }, NOT],
  ['an unknown category', { memory: { category: 'gpu', atLeastBytes: 1 } }, NOT],
  [
    'an incomplete category',
    { memory: { category: 'vmalloc', atLeastBytes: 1 } },
    UNKNOWN('category vmalloc is incomplete: torn'),
  ],
  [
    'an owner',
    { owner: { name: 'ngi*', atLeastShare: 0.1 } },
    MET({ ownerName: 'nginx', ownerPid: 11, ownerBytes: 1.5 * GIB, ownerShare: 1.5 / 8 }),
  ],
  [
    'an owner that may be in unattributed memory',
    { owner: { name: 'x', category: 'network-sockets', atLeastBytes: '400 MiB' } },
    UNKNOWN('some owners of network-sockets are unknown'),
  ],
  [
    'an owner of more than the unattributed memory',
    { owner: { name: 'x', category: 'network-sockets', atLeastBytes: '600 MiB' } },
    NOT,
  ],
  [
    'a stack',
    { stack: { symbol: 'nfs_*' } },
    MET({ stackSymbol: 'nfs_wait', stackTasks: 2, stackPid: 3, stackComm: 'cp' }),
  ],
  ['no such stack', { stack: { symbol: 'ext4_*' } }, NOT],
  ['tasks', { tasks: { state: 'D', atLeast: 2 } }, MET({ taskCount: 2 })],
  ['fewer tasks', { tasks: { state: 'D', atLeast: 3 } }, NOT],
  ['not', { release: '6.*', not: { module: 'nvidia' } }, MET({ kernelRelease: '6.1.0-9' })],
  ['not, of a match', { release: '6.*', not: { module: 'ext4' } }, NOT],
  ['any', { any: [{ module: 'nvidia' }, { taint: 'O' }] }, MET({ taintFlags: 'O' })],
  ['any, without a match', { any: [{ module: 'nvidia' }, { taint: 'P' }] }, NOT],
  ['unknown and no match', { release: 'x', memory: { category: 'vmalloc', atLeastBytes: 1 } }, NOT],
])('%s', (_, when, expected) => {
  expect(resultOf(when)).toEqual(expected);
});

test.each<[string, object, Partial<KernelTriage>, string]>([
  [
    'taint',
    { taint: 'O' },
    { machine: { panic: { state: 'running', logRead: true }, running: [] } },
    'the taint flags cannot be read',
  ],
  [
    'modules',
    { module: '*' },
    { machine: { panic: { state: 'running', logRead: true }, running: [] } },
    'the list of modules cannot be read',
  ],
  [
    'a panic',
    { panic: '*' },
    { machine: { panic: { state: 'unknown', logRead: false }, running: [] } },
    'whether the kernel panicked is unknown',
  ],
  [
    'its reason',
    { panic: '*' },
    { machine: { panic: { state: 'panicked', logRead: false }, running: [] } },
    'the reason of the panic is unknown',
  ],
  [
    'memory',
    { memory: { category: 'anonymous', atLeastBytes: 1 } },
    { memory: undefined },
    'the memory breakdown is not available',
  ],
  ['the log', { log: 'x' }, { log: undefined }, 'the log is not available'],
  ['a finding', { finding: { code: 'queued-data' } }, { complete: false }, 'the answer is incomplete'],
])('treats %s that is unreadable as unknown, and its negation, too', (_, when, more, why) => {
  expect(resultOf(when, answer(more))).toEqual(UNKNOWN(why));
  expect(resultOf({ not: when }, answer(more))).toEqual(UNKNOWN(why));
  expect(resultOf({ release: '6*', any: [when, { taint: 'P' }] }, answer(more)).met).toBe(false);
});

test('treats a line that may be missing as unknown, but finds one that exists', () => {
  const torn = answer({}, LOG, { ...WHOLE, overwritten: 9 });
  expect(resultOf({ log: 'gone' }, torn)).toEqual(UNKNOWN('the oldest 9 messages of the log are missing'));
  expect(resultOf({ log: 'mlx *' }, torn).met).toBe(true);
  expect(resultOf({ finding: { code: 'panic' } }, torn)).toEqual(
    UNKNOWN('the oldest 9 messages of the log are missing'),
  );
  expect(resultOf({ finding: { code: 'low-memory' } }, torn)).toEqual(NOT);
  expect(resultOf({ finding: { code: 'memory-pressure' } }, torn)).toEqual(NOT);
});

test('treats unreadable or guessed stacks as unknown', () => {
  const refuse = () => {
    throw new KernelError('unsupported-layout', 'no tables');
  };
  const condition = { stack: { symbol: 'nfs_*' } };
  expect(resultOf(condition, answer(), refuse)).toEqual(UNKNOWN('stacks cannot be read: no tables'));
  expect(resultOf(condition, answer(), () => stacks(true, true))).toEqual(
    UNKNOWN('nfs_wait is a guess of the unwinder'),
  );
  const other = { stack: { symbol: 'ext4_*' } };
  expect(resultOf(other, answer(), () => stacks(false))).toEqual(UNKNOWN('some stacks cannot be read'));
  const tasks = { tasks: { state: 'D', atLeast: 3 } };
  expect(resultOf(tasks, answer(), () => stacks(false))).toEqual(UNKNOWN('some tasks cannot be read'));
  expect(resultOf({ tasks: { state: 'D', atLeast: 1 } }, answer(), () => stacks(false)).met).toBe(true);
});

function applied(rules: object, input = answer({}, [...LOG, ...OOM])) {
  const file = JSON.stringify({ schema: 'kdump-mem.rules/1', ...rules });
  return withRules(input, readRules('r', file), () => stacks(true));
}

const silent = (where?: object) => ({
  adjust: [{ finding: 'oom-kill', ...(where ? { where } : {}), severity: 'silent', because: 'Known.' }],
});

test('adds a finding for each match of the lines, with its figures in the sentence', () => {
  const found = applied({
    rules: [
      {
        code: 'acme/hot',
        severity: 'critical',
        next: 'log',
        when: {
          log: 'mlx {card}: health: {how}, level {level:number}',
          memory: { category: 'network-sockets', atLeastBytes: 1 },
        },
        message: '{card} is {how} ({memoryBytes}, {memoryShare}).',
        advice: 'Change {card}.',
      },
    ],
  });
  const json = triageSchema.parse(JSON.parse(JSON.stringify(triageJson({ ...found, memory: undefined }))));
  expect(json.findings.slice(0, 2)).toMatchObject([
    { code: 'acme/hot', words: 'card0 is hot (2.00 GiB, 25 %).', advice: 'Change card0.' },
    { code: 'acme/hot', words: 'card1 is cold (2.00 GiB, 25 %).', figures: { level: 1 } },
  ]);
  expect(json.findings[0]?.evidence).toHaveLength(2);
  const text = triageText({ ...found, memory: undefined }, { width: 80, source: '--vmcore v' });
  expect(text).toContain('CRITICAL  card0 is hot (2.00 GiB, 25 %) [acme/hot]\n          Action: Change card0.');
  expect(text).toContain('Next: kdump-mem log --vmcore v');
});

test('counts and reports silenced findings, without an all-clear', () => {
  const found = applied(silent({ figures: { scope: 'cgroup' } }));
  expect(found.findings.map(({ code }) => code)).not.toContain('oom-kill');
  expect(found.rules?.silenced).toEqual([
    { code: 'oom-kill', from: 'warning', to: 'silent', findings: 1, because: 'Known.' },
  ]);
  const text = triageText({ ...found, memory: undefined }, { width: null, source: 'v' });
  expect(text).toContain('No findings except those silenced by rules.');
  expect(text).toContain('Silenced: 1 oom-kill finding (warning). Known.');
  const json = triageSchema.parse(triageJson({ ...found, memory: undefined }));
  expect(json.rules?.silenced).toHaveLength(1);
});

test('silences nothing by figures that describe only the last occurrence', () => {
  const twice = answer({}, [...OOM, ...OOM]);
  expect(twice.findings[0]?.figures.times).toBe(2);
  const bySize = applied(silent({ figures: { victimAnonBytes: { atMost: 10_000 } } }), twice);
  expect(bySize.findings).toHaveLength(1);
  expect(bySize.rules?.unknown[0]).toMatchObject({ code: 'oom-kill' });
  const byName = applied(silent({ figures: { comm: 'java' } }), twice);
  expect(byName.findings).toHaveLength(0);
  const byScope = applied(silent({ figures: { scope: 'cgroup' } }), twice);
  expect(byScope.findings).toHaveLength(0);
  const others = applied(silent({ figures: { comm: 'perl' } }), twice);
  expect([others.findings.length, others.rules?.unknown.length]).toEqual([1, 0]);
  const unread = applied(silent({ figures: { limitBytes: 4096 } }));
  expect(unread.findings).toHaveLength(1);
  expect(unread.rules?.unknown).toHaveLength(1);
});

test('silences a finding that stands for others by its code only', () => {
  const finding: Finding = { code: 'oom-kill', severity: 'critical', evidence: [], figures: { comm: 'a', others: 6 } };
  const input = answer({ findings: [finding] });
  expect(applied(silent({ figures: { comm: 'a' } }), input).findings).toHaveLength(1);
  expect(applied(silent(), input).rules?.silenced[0]?.findings).toBe(7);
});

test('reports a changed severity, and sorts by it', () => {
  const findings: Finding[] = [
    { code: 'oops', severity: 'critical', figures: {}, evidence: [] },
    { code: 'tainted', severity: 'note', figures: { mask: 4096 }, evidence: [] },
  ];
  const rules = { adjust: [{ finding: 'tainted', severity: 'critical', because: 'Ours are pure.' }] };
  const found = applied(rules, answer({ findings }));
  expect(found.findings.map(({ severity }) => severity)).toEqual(['critical', 'critical']);
  const text = triageText({ ...found, memory: undefined }, { width: null, source: 'v' });
  expect(text).toContain('Severity changed: 1 tainted finding, note to critical. Ours are pure.');
});

test('escapes hostile log text in the sentence of a rule', () => {
  const lines = ['mlx \u001b[31m{x}: bad'];
  const found = applied(
    { rules: [{ code: 'acme/a', severity: 'note', when: { log: 'mlx {card}: bad' }, message: '{card}' }] },
    answer({}, lines),
  );
  const text = triageText({ ...found, memory: undefined }, { width: 80, source: 'v' });
  expect(text).not.toContain('\u001b');
  expect(text).toContain('\\x1b[31m{x}');
});
