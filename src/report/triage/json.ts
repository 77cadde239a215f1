import type { MemoryAnswer } from '../../account/memory/answer.js';
import { leaves } from '../../account/memory/leaves.js';
import type { Evidence, Finding } from '../../triage/finding.js';
import type { RulesOutcome } from '../../triage/rules/outcome.js';
import type { TriageAnswer } from '../../triage/triage.js';
import { kernelJson } from '../kernel-json.js';
import { frameJson, stopJson } from '../task-stacks/json.js';
import type { TriageJson } from './schema.js';
import { adviceWords, findingWords } from './words.js';

export function triageJson(answer: TriageAnswer): TriageJson {
  const { kernel, machine, findings, lost, memory, complete, warnings } = answer;
  const { panic, uts, clock } = machine;
  return {
    schema: 'kdump-mem.triage/1',
    kernel: kernelJson(kernel),
    nodename: uts?.nodename ?? null,
    uptimeSeconds: clock === undefined ? null : Number(clock.uptime / 1_000_000_000n),
    panic: {
      state: panic.state,
      message: panic.message ?? null,
      cause: panic.cause ?? null,
    },
    findings: findings.map(findingJson),
    overwritten: lost?.overwritten ?? null,
    noRoom: lost?.noRoom ?? null,
    memory: memory ? drawersJson(memory) : null,
    ...(answer.rules ? { rules: rulesJson(answer.rules) } : {}),
    complete,
    warnings: [...warnings],
  };
}

/** A finding, with its words. */
export function findingJson(finding: Finding): TriageJson['findings'][number] {
  const { code, severity, figures, evidence, deeper } = finding;
  return {
    ...{ code, severity, words: findingWords(finding), figures: { ...figures } },
    evidence: evidence.map(evidenceJson),
    deeper: deeper ?? null,
    ...(finding.told ? { advice: adviceWords(finding) ?? null } : {}),
  };
}

function rulesJson(outcome: RulesOutcome): NonNullable<TriageJson['rules']> {
  const { rules, met, unknown, silenced, changed } = outcome;
  const copied = (list: RulesOutcome['changed']) => list.map((one) => ({ ...one }));
  return {
    ...{ rules, met, unknown: unknown.map((one) => ({ ...one })) },
    ...{ silenced: copied(silenced), changed: copied(changed) },
  };
}

function evidenceJson(evidence: Evidence): TriageJson['findings'][number]['evidence'][number] {
  if (evidence.kind === 'stack') {
    const { kind, frames, end, why, stop } = evidence;
    return { kind, frames: frames.map(frameJson), end, why: why ?? null, ...stopJson(stop) };
  }
  const { kind, seq, timestamp, text } = evidence;
  return { kind, seq, timestampMicroseconds: Number(timestamp / 1000n), text };
}

/** Drawers that have something, the largest first. */
export function drawersJson({ memory }: MemoryAnswer): NonNullable<TriageJson['memory']> {
  const drawers = leaves(memory)
    .filter(({ bytes }) => bytes > 0)
    .map(({ drawer, bytes }) => ({ drawer, bytes }))
    .toSorted((a, b) => b.bytes - a.bytes);
  return { bytes: memory.bytes, drawers };
}
