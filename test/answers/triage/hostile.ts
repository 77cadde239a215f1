import type { LogAnswer } from '../../../src/account/log.js';
import type { Stack, StackGroup } from '../../../src/contracts/task-stacks.js';
import type { LogRecord } from '../../../src/records/log-records.js';
import type { KernelTriage } from '../../../src/triage/answer.js';
import type { Finding, TriageDetail } from '../../../src/triage/finding.js';
import { FINDING_CODES } from '../../../src/triage/findings/all.js';
import { answerWith } from '../memory/hostile.js';

/** An answer and the other data of a page, with a name in every place that can have one. */
export function triageWith(names: readonly string[]): { readonly answer: KernelTriage; readonly detail: TriageDetail } {
  const [first = ''] = names;
  const stacks = names.map(stackWith);
  const records: LogRecord[] = names.map((text, seq) => ({
    seq,
    timestamp: BigInt(seq) * 1_000_000n,
    level: 4,
    facility: 0,
    caller: null,
    comm: text,
    subsystem: text,
    device: text,
    text,
  }));
  const own: Finding = {
    code: 'acme/own',
    severity: 'critical',
    figures: { what: first },
    evidence: [],
    next: first,
    rule: { message: `${first} {what}`, advice: `${first} {what}` },
  };
  const adjusted = { code: 'tainted', from: 'note', findings: 2, because: first } as const;
  return {
    answer: {
      kernel: {
        release: first,
        arch: 'x86_64',
        pageSize: 4096,
        live: false,
        source: 'vmcore',
        engine: 'native',
      } as KernelTriage['kernel'],
      machine: {
        uts: { nodename: first, release: first, version: first, machine: first },
        panic: { state: 'panicked', logRead: true, message: first, cause: first },
        running: [],
      },
      findings: [own, ...FINDING_CODES.map((code, index) => findingOf(code, names, index))],
      lost: { overwritten: 3, noRoom: 0 },
      log: { records, overwritten: 3, noRoom: 0, complete: true } as unknown as LogAnswer,
      memory: answerWith(names),
      census: undefined,
      complete: false,
      warnings: names.map((message) => ({ code: 'unreadable', message })),
      rules: {
        rules: 4,
        matched: 1,
        unknown: names.map((why) => ({ code: 'acme/b', reason: 'log-incomplete', why })),
        silenced: [{ ...adjusted, to: 'silent' }],
        changed: [{ ...adjusted, to: 'warning' }],
      },
    },
    detail: { running: stacks, blocked: stacks, warnings: names.map((message) => ({ code: 'torn-list', message })) },
  };
}

function findingOf(code: Finding['code'], names: readonly string[], index: number): Finding {
  const name = names[index % names.length] ?? '';
  // Texts of all codes, and numbers where the code computes.
  const texts = ['comm', 'reason', 'cause', 'what', 'cgroup', 'symbol', 'place', 'zone', 'io', 'gfp'];
  return {
    code,
    severity: index % 2 === 0 ? 'warning' : 'note',
    figures: {
      ...Object.fromEntries(texts.map((text) => [text, name])),
      pid: 7,
      mask: 4096,
      bytes: 8192,
      freeBytes: 4096,
      minBytes: 8192,
      share: 0.3,
      times: 2,
    },
    evidence: [
      { kind: 'log', seq: index % names.length, timestamp: 1_000_000n, text: name },
      { kind: 'stack', ...stackOf(name) },
    ],
    next: 'memory',
  };
}

function stackOf(name: string): Stack {
  const frame = { address: 0xffff_ffff_8100_0000n, interrupted: false, guess: true };
  return {
    frames: [{ ...frame, symbol: name, offset: 16, module: name }],
    end: 'stopped',
    why: name,
    code: 'no-table',
    at: null,
  };
}

function stackWith(name: string): StackGroup {
  return { ...stackOf(name), tasks: [{ pid: 3, process: 2, comm: name, state: 'D', cpu: 1, registers: 'qemu' }] };
}
