import type { MemoryAnswer } from '../../account/memory/answer.js';
import { leaves } from '../../account/memory/leaves.js';
import type { CrashReport, Evidence, Finding } from '../../triage/finding.js';
import type { OomReport } from '../../triage/oom-report.js';
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
    memory: memory ? categoriesJson(memory) : null,
    ...(answer.rules ? { rules: rulesJson(answer.rules) } : {}),
    complete,
    warnings: [...warnings],
  };
}

/** A finding, with its words. */
export function findingJson(finding: Finding): TriageJson['findings'][number] {
  const { code, severity, title, report, oom, figures, evidence, next } = finding;
  return {
    code,
    severity,
    ...(title === undefined ? {} : { title }),
    ...(report === undefined ? {} : { report: reportJson(report) }),
    ...(oom === undefined ? {} : { oom: oomJson(oom) }),
    words: findingWords(finding),
    figures: { ...figures },
    ...evidenceJson(evidence),
    next: next ?? null,
    ...(finding.rule ? { advice: adviceWords(finding) ?? null } : {}),
  };
}

function reportJson(report: CrashReport): NonNullable<TriageJson['findings'][number]['report']> {
  const copied = (frames: CrashReport['stack']) => frames.map((frame) => ({ ...frame }));
  return {
    ...report,
    modules: [...report.modules],
    stack: copied(report.stack),
    allocatedBy: copied(report.allocatedBy),
    freedBy: copied(report.freedBy),
  };
}

function oomJson(oom: OomReport): NonNullable<TriageJson['findings'][number]['oom']> {
  const copied = <T extends object>(list: readonly T[]) => list.map((one) => ({ ...one }));
  const zones = oom.zones.map(({ reserves, freeBlocks, ...zone }) => ({
    ...zone,
    reserves: [...reserves],
    freeBlocks: freeBlocks && copied(freeBlocks),
  }));
  const memcgs = oom.memcgs.map(({ path, counters }) => ({ path, counters: { ...counters } }));
  return {
    victims: copied(oom.victims),
    stack: copied(oom.stack),
    pages: { ...oom.pages },
    zones,
    memcgs,
    tasks: copied(oom.tasks),
    byName: copied(oom.byName),
    slabs: copied(oom.slabs),
    sites: copied(oom.sites),
  };
}

export function rulesJson(outcome: RulesOutcome): NonNullable<TriageJson['rules']> {
  const { rules, matched, unknown, silenced, changed } = outcome;
  const copied = (list: RulesOutcome['changed']) => list.map((one) => ({ ...one }));
  return {
    rules,
    matched,
    unknown: unknown.map((one) => ({ ...one })),
    silenced: copied(silenced),
    changed: copied(changed),
  };
}

/** Lines without the log's clock stand apart: evidence promises it. */
function evidenceJson(
  all: readonly Evidence[],
): Pick<TriageJson['findings'][number], 'evidence' | 'lines'> {
  const evidence: TriageJson['findings'][number]['evidence'] = [];
  const lines: NonNullable<TriageJson['findings'][number]['lines']> = [];
  for (const one of all) {
    if (one.kind === 'stack') {
      const { kind, frames, end, why, stop } = one;
      evidence.push({
        kind,
        frames: frames.map(frameJson),
        end,
        why: why ?? null,
        ...stopJson(stop),
      });
      continue;
    }
    const { kind, seq, timestamp, printedTime = null, text } = one;
    if (timestamp === null) lines.push({ seq, printedTime, text });
    else evidence.push({ kind, seq, timestampMicroseconds: Number(timestamp / 1000n), text });
  }
  return { evidence, ...(lines.length > 0 ? { lines } : {}) };
}

/** Categories that have something, the largest first. */
export function categoriesJson({ memory }: MemoryAnswer): NonNullable<TriageJson['memory']> {
  const categories = leaves(memory)
    .filter(({ bytes }) => bytes > 0)
    .map(({ category, bytes }) => ({ category, bytes }))
    .toSorted((a, b) => b.bytes - a.bytes);
  return { bytes: memory.bytes, categories };
}
