import { expect, test } from 'vitest';
import type { MemoryAnswer } from '../../src/account/memory/answer.js';
import { conclusionSentences } from '../../src/answers/triage/causes.js';
import { findingWords } from '../../src/answers/triage/words.js';
import { textRecords } from '../../src/log/reader.js';
import { causesOf } from '../../src/triage/causes.js';
import type { Finding } from '../../src/triage/finding.js';
import { balloonDriver, withBalloon, withHypervisor } from '../../src/triage/hypervisor.js';
import { logFindings } from '../../src/triage/log/log-findings.js';

const lockup = (cpu: number, task: string) => `watchdog: BUG: soft lockup - CPU#${cpu} stuck for 23s! [${task}]`;

const found = (lines: readonly string[], memory?: MemoryAnswer) =>
  withHypervisor(logFindings(textRecords(lines.join('\n')), 4096), memory).filter(
    ({ code }) => code === 'hypervisor-overcommitted',
  );

/** A report in the format of kernel/watchdog.c of 5.10, with these functions at the top of its stack. */
const report = (cpu: number, ...functions: readonly string[]) => [
  lockup(cpu, `swapper/${cpu}:0`),
  `CPU: ${cpu} PID: 0 Comm: swapper/${cpu} Not tainted 5.10.0-8-amd64 #1 Debian 5.10.46-4`,
  `RIP: 0010:${functions[0]}+0xe/0x10`,
  'RSP: 0018:ffffa2a7400c7ef0 EFLAGS: 00000202',
  'Call Trace:',
  ...functions.slice(1).map((name) => ` ${name}+0x20c/0x2b0`),
];

test('warns about a CPU that is stuck while it is halted', () => {
  const [finding] = found([
    ...report(1, 'native_safe_halt', 'default_idle', 'do_idle', 'cpu_startup_entry'),
    lockup(3, 'swapper/3:0'),
  ]);
  expect(finding).toMatchObject({ severity: 'warning', figures: { idleLockups: 2 } });
});

test('links its lockup, and the resulting panic, to the hypervisor', () => {
  const lines = [
    ...report(1, 'native_safe_halt', 'default_idle', 'do_idle', 'cpu_startup_entry'),
    'Kernel panic - not syncing: softlockup: hung tasks',
  ];
  const findings = withHypervisor(logFindings(textRecords(lines.join('\n')), 4096), undefined);
  const { links, conclusion } = causesOf(findings, { uptimeSeconds: undefined, complete: true });
  const named = ({ effect, cause, relation }: (typeof links)[number]) =>
    [effect, cause].map((index) => findings[index]?.code).concat(relation as never);
  expect(links.map(named).toSorted()).toEqual([
    ['panic', 'soft-lockup', 'panic-message'],
    ['soft-lockup', 'hypervisor-overcommitted', 'idle-cpu'],
  ]);
  expect(conclusion).toMatchObject({ confidence: 'possible' });
  expect(conclusionSentences(conclusion!, findings)).toEqual([
    'Possible cause of the soft lockup: The hypervisor may be overcommitted: the log has 1 soft lockup of an idle CPU.',
  ]);
});

test('ignores a CPU that is stuck in an interrupt', () => {
  const timer = ['tcp_retransmit_timer', 'call_timer_fn', 'run_timer_softirq', '__do_softirq'];
  expect(found(report(1, ...timer, 'irq_exit_rcu', 'default_idle', 'do_idle'))).toEqual([]);
});

test('reports soft lockups of idle CPUs without stacks as a note, with their lines', () => {
  const [finding, ...others] = found([
    lockup(1, 'swapper/1:0'),
    lockup(1, 'swapper/1:0'),
    lockup(3, 'swapper:0'),
    lockup(2, 'busy:77'),
  ]);
  expect(others).toEqual([]);
  expect(finding).toMatchObject({
    severity: 'note',
    figures: { stealShare: null, idleLockups: 3, balloonBytes: null },
  });
  expect(finding?.evidence).toHaveLength(2);
  expect(findingWords(finding!)).toBe(
    'The hypervisor may be overcommitted: the log has 3 soft lockups of idle CPUs. A CPU that is halted cannot be stuck: the host did not run it in time. Confirm on the host: its CPU load, and ready or steal time of this guest.',
  );
});

test('does not mistake a task with the name of an idle task for one', () => {
  expect(found([lockup(1, 'swapper/1:44'), lockup(0, 'swapper:1')])).toEqual([]);
  expect(found([])).toEqual([]);
});

test('adds the balloon as a figure, but not as a finding of its own', () => {
  const balloon = { category: 'balloon', bytes: 2 ** 30, owners: [], children: [] };
  const answer = { memory: { ...balloon, category: 'memory', children: [balloon] } };
  const memory = answer as unknown as MemoryAnswer;
  expect(found([], memory)).toEqual([]);
  const [finding] = found([lockup(0, 'swapper/0:0')], memory);
  expect(finding?.figures).toMatchObject({ idleLockups: 1, balloonBytes: 2 ** 30 });
  expect(findingWords(finding!)).toContain(
    'the log has 1 soft lockup of an idle CPU. A CPU that is halted cannot be stuck: the host did not run it in time. The balloon driver holds 1.00 GiB.',
  );
});

test('names a loaded balloon driver beside a hole that nothing else explains', () => {
  const hole: Finding = {
    code: 'unattributed-memory',
    severity: 'critical',
    figures: { bytes: 5_000_000_000, share: 0.6, mostBytes: 6_000_000_000 },
    evidence: [],
  };
  const pipes: Finding = { ...hole, code: 'pipes', figures: {} };
  expect(balloonDriver('hv_balloon 36864 0 - Live 0x0\n', [])).toBe('hv_balloon');
  expect(balloonDriver('', [{ text: 'hv_balloon: Using Dynamic Memory protocol version 2.0' }])).toBe('hv_balloon');
  expect(balloonDriver('ext4 1 0\n', [{ text: 'x: hv_balloon' }])).toBeUndefined();
  expect(withBalloon([hole], 'hv_balloon')).toMatchObject([
    { severity: 'warning', figures: { balloon: 'hv_balloon' } },
  ]);
  expect(withBalloon([hole], undefined)).toEqual([hole]);
  expect(withBalloon([hole, pipes], 'hv_balloon')).toEqual([hole, pipes]);
});
