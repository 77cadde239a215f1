import type { MemoryAnswer } from '../../account/memory/answer.js';
import { leaves } from '../../account/memory/tree.js';
import { jsonOf } from '../../base/util.js';
import type { TriageJson } from '../../contracts/triage.js';
import { kernelIdentity } from '../../kernel/identity.js';
import { causeFacts, releaseOf, type TriageAnswer } from '../../triage/answer.js';
import type { Evidence, Finding } from '../../triage/finding.js';
import type { Unread } from '../../triage/host-reader.js';
import { dumpTime } from '../../walk/machine/clock.js';
import { textLogJson } from '../log/render.js';
import { pastedJson } from '../origin.js';
import { causesJson } from './causes.js';
import { adviceWords, findingWords } from './words.js';

/** Warnings of an answer, with one for each unread source that none of them names. */
export function withUnread(warnings: TriageAnswer['warnings'], unread: readonly Unread[]): TriageJson['warnings'] {
  const isNew = ({ why }: Unread) => !warnings.some(({ message }) => message.includes(why));
  const more = unread
    .filter(isNew)
    .map(({ check, code, why, hides }) => ({ code, message: `${check}: ${why} (this may hide ${hides})` }));
  return [...warnings, ...more];
}

type FindingJson = TriageJson['findings'][number];

export function triageJson(answer: TriageAnswer): TriageJson {
  const {
    kernel,
    machine,
    host,
    logs,
    findings,
    lost,
    memory,
    holders,
    complete,
    warnings,
    checked,
    unread = [],
  } = answer;
  const clock = machine?.clock;
  return {
    schema: 'kdump-mem.triage/1',
    kernel: kernel ? kernelIdentity(kernel) : null,
    captured: host?.isCaptured ? { host: host.host, takenAt: host.takenAt } : null,
    pasted: pastedJson(host?.pasted),
    nodename: machine?.uts?.nodename ?? host?.host ?? null,
    takenAt: host?.takenAt ?? null,
    ...timesJson(machine),
    release: kernel?.release || host?.release || (logs && releaseOf(logs)) || null,
    uptimeSeconds: clock ? Number(clock.uptime / 1_000_000_000n) : wholeOf(host?.uptimeSeconds),
    panic: machine
      ? { state: machine.panic.state, message: machine.panic.message ?? null, cause: machine.panic.cause ?? null }
      : null,
    logs: logs?.map(textLogJson) ?? null,
    findings: findings.map(findingJson),
    ...causesJson(findings, causeFacts(answer)),
    overwritten: lost?.overwritten ?? null,
    noRoom: lost?.noRoom ?? null,
    memory: memory ? categoriesJson(memory) : null,
    holders: holders ?? null,
    checked: checked ?? null,
    unread,
    ...(answer.rules ? { rules: answer.rules } : {}),
    complete,
    warnings: withUnread(warnings, unread),
  };
}

/** Times of the memory of a dump. @param machine undefined: no memory was read */
export function timesJson(machine?: Parameters<typeof dumpTime>[0]) {
  const time = dumpTime(machine);
  if (!time) return { crashTime: null, time: null };
  const { at, from } = time;
  return { crashTime: from === 'crash' ? at : null, time: { at, from } };
}

const wholeOf = (seconds: number | undefined) => (seconds === undefined ? null : Math.floor(seconds));

/** A finding, with its words. */
export function findingJson(finding: Finding): FindingJson {
  const { code, severity, title, report, oom, figures, evidence, next, past } = finding;
  return {
    code,
    severity,
    ...(title === undefined ? {} : { title }),
    ...(report === undefined ? {} : { report }),
    ...(oom === undefined ? {} : { oom }),
    words: findingWords(finding),
    figures,
    ...evidenceJson(evidence),
    next: next ?? null,
    ...(past ? { past } : {}),
    ...(finding.rule ? { advice: adviceWords(finding) ?? null } : {}),
  };
}

/** Lines without a timestamp are listed separately: `evidence` requires one. */
function evidenceJson(all: readonly Evidence[]): Pick<FindingJson, 'evidence' | 'lines'> {
  const evidence: FindingJson['evidence'][number][] = [];
  const lines: NonNullable<FindingJson['lines']>[number][] = [];
  for (const item of all) {
    if (item.kind === 'stack') {
      evidence.push(jsonOf(item));
      continue;
    }
    const { kind, seq, timestamp, printedTime = null, text } = item;
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
