import { expect, test } from 'vitest';
import type { NamedFrame } from '../../src/contracts/task-stacks.js';
import type { Finding } from '../../src/triage/finding.js';
import { fingerprint } from '../../src/triage/fingerprint.js';
import type { TopOwner } from '../../src/triage/top-owner.js';

interface Crash {
  readonly cause?: string;
  /** `?name` is a guess; `!name` was interrupted. */
  readonly functions?: readonly string[];
  readonly codes?: readonly Finding['code'][];
  readonly owner?: TopOwner;
}

const finding = (code: Finding['code'], evidence: Finding['evidence'] = []): Finding => ({
  code,
  severity: 'critical',
  figures: {},
  evidence,
});

/** Findings with a stack. */
const STACKS: ReadonlySet<string> = new Set(['panic', 'deadlock', 'blocked-on-lock']);

function printOf({ cause, functions = [], codes = ['panic'], owner }: Crash, seed = 0) {
  const frames = functions.map(
    (text, index): NamedFrame => ({
      address: BigInt(seed + index),
      interrupted: text.startsWith('!'),
      guess: text.startsWith('?'),
      symbol: text.replace(/^[?!]/, ''),
      offset: seed + index,
      module: null,
    }),
  );
  const stack = { kind: 'stack', frames, end: 'first', why: null, code: null, at: null } as const;
  const findings = codes.map((code) => finding(code, STACKS.has(code) ? [stack] : []));
  const panic = { state: 'panicked', logRead: true, ...(cause === undefined ? {} : { cause }) } as const;
  return fingerprint({ findings, machine: { panic, running: [] } }, owner);
}

const FUNCTIONS = ['machine_kexec', '__crash_kexec', 'oops_end', '!tcp_ack', 'tcp_rcv', 'napi_poll'];
const CAUSE = 'BUG: kernel NULL pointer dereference, address: 0000000000000008';

test('is the same for one fault at other addresses, offsets and CPUs', () => {
  const one = printOf({ cause: CAUSE, functions: FUNCTIONS });
  const functions = ['panic', 'die', '!tcp_ack', '?memcpy', 'tcp_rcv.isra.0', 'napi_poll'];
  const other = printOf({ cause: CAUSE.replace('08', '10'), functions }, 77);
  expect(one?.functions).toEqual(['tcp_ack', 'tcp_rcv', 'napi_poll']);
  expect(other).toEqual(one);
});

test.each<[string, Crash]>([
  ['another function', { cause: CAUSE, functions: ['!tcp_data', 'tcp_rcv', 'napi_poll'] }],
  ['another cause', { cause: 'BUG: stack guard page was hit', functions: FUNCTIONS }],
  ['no stack', { cause: CAUSE }],
])('differs for %s', (_, crash) => {
  expect(printOf(crash)?.id).not.toBe(printOf({ cause: CAUSE, functions: FUNCTIONS })?.id);
});

test('ignores numbers of CPUs, seconds, and the task in brackets', () => {
  const lockup = (cpu: number, task: string) =>
    printOf({ cause: `watchdog: BUG: soft lockup - CPU#${cpu} stuck for 2${cpu}s! [${task}]` });
  expect(lockup(1, 'stress:4711')?.id).toBe(lockup(3, 'kworker/3:2:99')?.id);
});

test('includes the largest process, without its pid, only for a memory shortage', () => {
  const owner = (name: string, pid: number): TopOwner => ({ kind: 'process', name, pid, bytes: 1, of: 'memory' });
  const oom = (name: string, pid: number) => printOf({ codes: ['oom-kill'], owner: owner(name, pid) })?.id;
  expect(oom('java', 1)).toBe(oom('java', 2));
  expect(oom('java', 1)).not.toBe(oom('nginx', 1));
  const fault = (name: string) => printOf({ cause: CAUSE, owner: owner(name, 1) })?.id;
  expect(fault('java')).toBe(fault('nginx'));
});

test('does not exist without a problem', () => {
  expect(printOf({ codes: [] })).toBeNull();
});

test('of a hang contains the functions of the lock owner', () => {
  const owner = ['__schedule', 'schedule', 'synchronize_net', 'unregister_netdevice_many'];
  const hung = printOf({ functions: owner, codes: ['blocked-on-lock', 'hung-task'] });
  expect(hung).toMatchObject({ kind: 'blocked-on-lock, hung-task', functions: owner });
  const other = printOf({ functions: ['__schedule', 'nfs4_wait'], codes: ['blocked-on-lock', 'hung-task'] });
  expect(other?.id).not.toBe(hung?.id);
});
