import type { Evidence, Finding } from '../../triage/finding.js';
import type { TriageAnswer } from '../../triage/triage.js';
import { logTime } from '../log/text.js';
import { headline } from '../memory/headline.js';
import { framesText } from '../task-stacks/text.js';
import { wrap } from '../text/cut.js';
import { escapeText } from '../text/escape.js';
import { oomLines } from './oom-text.js';
import { rulesLines } from './rules-words.js';
import { adviceWords, findingSentences, othersWords, titleWords } from './words.js';

export interface TriageTextOptions {
  /** Columns of the terminal; null: there is none. */
  readonly width: number | null;
  /** Options that name the dump, such as `--vmcore vmcore`. */
  readonly source: string;
  /** Shows everything that findings are based on, and commands for more. */
  readonly verbose?: boolean | undefined;
}

const LABELS = { critical: 'CRITICAL', warning: 'WARNING ', note: 'NOTE    ' } as const;

/** Summary, findings, memory, and the next command. */
export function triageText(answer: TriageAnswer, options: TriageTextOptions): string {
  const { findings, memory } = answer;
  const parts = [...wrap(summary(answer), options.width), ''];
  for (const { finding, others } of alike(findings)) {
    parts.push(...findingLines(finding, options));
    if (options.verbose)
      for (const other of others) parts.push('', ...findingLines(other, options));
    else if (others.length > 0)
      parts.push(...indented(wrap(`${othersWords(others)} -v lists them.`, roomIn(options))));
    parts.push('');
  }
  if (memory) parts.push(...wrap(`Memory: ${headline(memory)}`, options.width), '');
  if (answer.rules)
    parts.push(...rulesLines(answer.rules).flatMap((line) => wrap(line, options.width)), '');
  for (const line of lostLines(answer)) parts.push(...wrap(line, options.width), '');
  parts.push(`Next: kdump-mem ${escapeText(findings[0]?.next ?? 'memory')} ${options.source}`);
  return parts.join('\n');
}

/** What is missing from the log. */
export function lostLines({ lost }: TriageAnswer): string[] {
  if (lost === undefined) return ['The kernel log is not available: findings from it are unknown.'];
  const { overwritten, noRoom } = lost;
  return [
    ...(overwritten > 0
      ? [`The kernel log is incomplete: its oldest ${overwritten} messages were overwritten.`]
      : []),
    ...(noRoom > 0 ? [`The kernel log is incomplete: it had no room for ${noRoom} messages.`] : []),
  ];
}

/** Host, release, uptime, state, number of findings; escaped. */
export function summary(answer: TriageAnswer): string {
  const { kernel, machine, findings, complete } = answer;
  const { uts, panic, clock } = machine;
  const host = uts?.nodename ? `${escapeText(uts.nodename)}, ` : '';
  const up = clock === undefined ? '' : `, up ${duration(clock.uptime)}`;
  const state = { panicked: 'panicked', running: 'running', unknown: 'state unknown' }[panic.state];
  const found =
    severeWords(findings, complete) ??
    (isAllClear(answer)
      ? 'No problems found.'
      : answer.rules?.silenced.length
        ? 'No findings except those silenced by rules.'
        : 'No findings, but some checks could not be completed.');
  return `${host}Linux ${escapeText(kernel.release)}${up}, ${state}. ${found}`;
}

/** How many findings are critical, and how many warnings; undefined: none is either. */
export function severeWords(findings: readonly Finding[], complete: boolean): string | undefined {
  const [grave, wrong] = (['critical', 'warning'] as const).map(
    (severity) => findings.filter((finding) => finding.severity === severity).length,
  );
  if (!grave && !wrong) return undefined;
  const parts = [`${grave} critical`, `${wrong} ${wrong === 1 ? 'warning' : 'warnings'}`];
  if (complete) return `${parts.join(', ')}.`;
  return `At least ${[...(grave ? [parts[0]] : []), ...(wrong ? [parts[1]] : [])].join(', ')}.`;
}

/** Nothing is silenced, unknown or missing. */
function isAllClear(answer: TriageAnswer): boolean {
  const { complete, rules, machine } = answer;
  const isKnown = machine.panic.state !== 'unknown';
  const isWhole = complete && isKnown && lostLines(answer).length === 0;
  return isWhole && (rules?.silenced.length ?? 0) === 0 && (rules?.unknown.length ?? 0) === 0;
}

/** A finding: headline and code, further sentences, evidence, and with -v the command that shows more. */
export function findingLines(
  finding: Finding,
  { width, source, verbose }: TriageTextOptions,
  titled = verbose === true,
): string[] {
  const { severity, code, evidence, next } = finding;
  const room = roomIn({ width });
  const [headline, ...details] = findingSentences(finding);
  const [first = '', ...rest] = wrap(`${headline.replace(/\.$/, '')} [${code}]`, room);
  const lines = [`${LABELS[severity]}  ${first}`, ...indented(rest)];
  if (details.length > 0) lines.push(...indented(wrap(details.join(' '), room)));
  const title = titled ? titleWords(finding) : undefined;
  if (title !== undefined) lines.push(...indented(wrap(`Title: ${title}`, room)));
  const advice = adviceWords(finding);
  if (advice !== undefined) lines.push(...indented(wrap(`Do: ${advice}`, room)));
  if (!verbose && severity === 'note') return lines;
  for (const one of evidence) lines.push(...indented(evidenceLines(one, room, verbose === true)));
  if (finding.oom) lines.push(...indented(oomLines(finding, room, verbose === true)));
  if (verbose && next !== undefined)
    lines.push(...indented([`More: kdump-mem ${escapeText(next)} ${source}`]));
  return lines;
}

const INDENT = ' '.repeat(10);

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `${INDENT}${line}`);
}

function roomIn({ width }: Pick<TriageTextOptions, 'width'>): number | null {
  return width === null ? null : Math.max(20, width - INDENT.length);
}

/** Functions of a stack without -v. */
const FEW = 12;

function evidenceLines(one: Evidence, room: number | null, verbose: boolean): string[] {
  if (one.kind === 'log')
    return wrap(`${logTime(one.timestamp, one.printedTime)} ${escapeText(one.text)}`, room);
  const lines = framesText(one, verbose);
  const left = lines.length - FEW;
  return verbose || left <= 1 ? lines : [...lines.slice(0, FEW), `    … ${left} more (-v)`];
}

function duration(nanoseconds: bigint): string {
  const seconds = Number(nanoseconds / 1_000_000_000n);
  const [days, hours, minutes] = [86_400, 3600, 60].map((unit) => Math.floor(seconds / unit));
  if (days! > 0) return `${days} d ${hours! % 24} h`;
  if (hours! > 0) return `${hours} h ${minutes! % 60} min`;
  return minutes! > 0 ? `${minutes} min` : `${seconds} s`;
}

/** A finding, and others that differ from it only in their socket. */
interface Alike {
  readonly finding: Finding;
  readonly others: readonly Finding[];
}

/** Groups the unread sockets of one process, in the order of the first of each. */
function alike(findings: readonly Finding[]): Alike[] {
  const groups = new Map<Finding | string, [Finding, ...Finding[]]>();
  for (const finding of findings) {
    const key = keyOf(finding);
    const group = groups.get(key);
    if (group) group.push(finding);
    else groups.set(key, [finding]);
  }
  return [...groups.values()].map(([finding, ...others]) => ({ finding, others }));
}

function keyOf(finding: Finding): Finding | string {
  const { code, severity, figures } = finding;
  // One that stands for others is not merged with any.
  if (code !== 'stalled-reader' || typeof figures.others === 'number' || figures.pid === null)
    return finding;
  const { pid, doing, symbol } = figures;
  return JSON.stringify([code, severity, pid, doing, symbol]);
}
