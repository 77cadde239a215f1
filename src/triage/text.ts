import { inflect } from '../base/size.js';
import type { Boot } from '../log/boots.js';
import type { TextLogSummary } from '../log/reader.js';
import { linesLike, UNKNOWN_FORMAT } from '../log/words.js';
import type { TextRecord } from '../records/log-records.js';
import { Warnings } from '../walk/warnings.js';
import { type LogTriage, ranked, releaseOf, type TextTriage } from './answer.js';
import { type Finding, withNext } from './finding.js';
import type { Holders } from './holders.js';
import { withHypervisor } from './hypervisor.js';
import type { RuleBasis } from './rules/facts.js';

/** Most common page size, used for text logs, which do not contain the page size. */
export const PAGE_SIZE = 4096;

/** Minimum number of messages to hold of a longer log. */
const HELD = 100_000;

/** The newest messages of a log, in bounded memory. */
export class HeldMessages {
  records: TextRecord[] = [];
  /** Number of older messages, which are not held. */
  older = 0;

  take(record: TextRecord): void {
    this.records.push(record);
    if (this.records.length < 2 * HELD) return;
    this.older += HELD;
    this.records = this.records.slice(HELD);
  }

  /** Removes messages of other boots. */
  choose(boot: number): void {
    this.records = this.records.filter((record) => record.boot === boot);
  }
}

/** @param missing sources that could not be read */
export function triageText(logs: readonly LogTriage[], missing: readonly string[]): TextTriage {
  const warnings = new Warnings();
  for (const message of missing) warnings.add('unreadable', message);
  for (const log of logs)
    for (const message of incompleteness(log))
      warnings.add('unreadable', logs.length > 1 ? `${log.name}: ${message}` : message);
  const list = warnings.list();
  const findings = logs.length > 1 ? findingsBeside([], logs) : (logs[0]?.findings ?? []);
  return ranked({
    logs,
    lost: undefined,
    memory: undefined,
    holders: thenHolders(findings),
    warnings: list,
    complete: list.length === 0,
    findings: withHypervisor(findings, undefined).map((finding) => withNext(finding)),
  });
}

/** Holders by the last OOM report of the logs, whose kernel lists processes; undefined: none does. */
function thenHolders(findings: readonly Finding[]): Holders | undefined {
  const byName = findings.findLast(({ oom }) => oom?.byName.length)?.oom?.byName ?? [];
  if (byName.length === 0) return undefined;
  const largest = byName.map(({ name, tasks, rssBytes }) => {
    const isOne = tasks === 1;
    return {
      kind: isOne ? ('process' as const) : ('program' as const),
      name,
      pid: null,
      processes: isOne ? null : tasks,
      bytes: rssBytes ?? 0,
    };
  });
  return { largest: largest.toSorted((a, b) => b.bytes - a.bytes).slice(0, 3), unreadProcesses: 0 };
}

/** Input of rules from an answer about text logs. */
export function ruleBasis(answer: TextTriage): RuleBasis {
  const { logs, findings, complete } = answer;
  const overwritten = logs.reduce((sum, { held }) => sum + (held?.older ?? 0), 0);
  const isPanic = findings.some(({ code }) => code === 'panic');
  return {
    findings,
    complete,
    kernel: { release: releaseOf(logs) ?? '' },
    machine: { panic: { state: isPanic ? 'panicked' : 'unknown', logRead: true } },
    memory: undefined,
    log: { records: logs.flatMap(({ held }) => held?.records ?? []), overwritten, noRoom: 0, complete },
  };
}

/**
 * Findings of further logs, without those that rest on the same lines as an earlier finding. Each names its
 * log.
 */
export function findingsBeside(own: readonly Finding[], logs: readonly LogTriage[]): Finding[] {
  const keyOf = ({ code, evidence }: Finding) =>
    JSON.stringify([code, ...evidence.map((evidence) => (evidence.kind === 'log' ? evidence.text : ''))]);
  const known = new Set(own.map(keyOf));
  const beside: Finding[] = [];
  for (const { name, findings } of logs)
    for (const finding of findings) {
      const key = keyOf(finding);
      if (!known.has(key)) beside.push({ ...finding, figures: { ...finding.figures, log: name } });
      known.add(key);
    }
  return beside;
}

/** Fewer lines of unknown format than one per this many messages are other output of a console. */
const FEW = 50;

/** Whether a text has no kernel message: neither a known format nor lines that look like a kernel's. */
export function isNoLog(log: TextLogSummary, findings: readonly Finding[]): boolean {
  const { format, messages, unknownLines, unconfirmedLines } = log;
  const looksLikeOne = unknownLines + unconfirmedLines > 0 || findings.length > 0;
  return !looksLikeOne && (messages === 0 || format === undefined);
}

type Incomplete = Pick<LogTriage, 'log' | 'boot' | 'missing'> & Partial<Pick<LogTriage, 'findings'>>;

/**
 * Why a log, or its selected boot, is incomplete.
 *
 * @param one.findings undefined: not searched for
 */
export function incompleteness({ log, boot, missing, findings }: Incomplete): string[] {
  const { format, boots, bootCount, cutLines, messages, unknownLines, unconfirmedLines } = log;
  const why = [...missing];
  if (format === undefined) why.push(UNKNOWN_FORMAT);
  else why.push(...unknownBeginnings(boots, bootCount, boot));
  if (format !== undefined && unknownLines > messages / FEW)
    why.push(`${linesLike(unknownLines)}, but ${inflect(unknownLines, 'its', 'their')} prefix is unknown`);
  // Mails name what they report; without a finding it may be one that was not recognized.
  if (unconfirmedLines > 0 && findings?.length === 0)
    why.push(
      `${unconfirmedLines} ${inflect(unconfirmedLines, 'line contains', 'lines contain')} a kernel report behind other text: whether this kernel printed it is unknown`,
    );
  if (cutLines > 0) why.push(`${cutLines} lines were truncated to 1 MiB`);
  return why;
}

function unknownBeginnings(boots: readonly Boot[], count: number, only: number | undefined): string[] {
  const unknown = boots
    .map(({ fromStart }, index) => (fromStart ? 0 : index + 1))
    .filter((boot) => boot > 0 && (only ?? boot) === boot);
  if (unknown.length === 0) return [];
  if (only !== undefined || unknown[0] === 1) return ['the log does not begin at a boot: earlier messages are missing'];
  const first = (unknown[0] ?? 1) - count;
  return [`${unknown.length} of ${count} boots lack their first messages (such as boot ${first})`];
}
