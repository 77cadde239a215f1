import type { HostTriage } from '../../triage/captured.js';
import type { CauseFacts } from '../../triage/causes.js';
import type { Finding } from '../../triage/finding.js';
import type { HostCheckName } from '../../triage/host-reader.js';
import { capturedJson, capturedWords } from '../origin.js';
import { wrap } from '../text/cut.js';
import { escapeText } from '../text/escape.js';
import { causesJson, concluded } from './causes.js';
import { categoriesJson, findingJson, withUnread } from './json.js';
import type { HostTriageJson } from './schema.js';
import {
  conclusionLines,
  findingLines,
  memoryWords,
  notesWords,
  severeWords,
  type TriageTextOptions,
  treeLines,
  unreadWords,
} from './text.js';

/** The uptime is that of the host's own log; findings of other logs name them. */
export const capturedFacts = (answer: HostTriage): CauseFacts => ({
  uptimeSeconds: answer.uptimeSeconds,
  // Causes rest on figures of the log and the counters: another unread check makes none of these doubtful.
  complete: answer.warnings.length === 0 && answer.overwritten === 0,
  socketsUncounted: ['counters', 'pageflags'].includes(answer.memory?.source ?? ''),
});

export function hostTriageJson(answer: HostTriage): HostTriageJson {
  const { of, release, findings, overwritten, memory, complete, warnings, checked, unread } = answer;
  return {
    schema: 'kdump-mem.host-triage/1',
    captured: capturedJson(of.isCaptured ? of : undefined),
    nodename: of.name ?? null,
    takenAt: of.taken?.toISOString() ?? null,
    release: release === '' ? null : release,
    findings: findings.map(findingJson),
    ...causesJson(findings, capturedFacts(answer)),
    overwritten,
    memory: memory ? categoriesJson(memory) : null,
    checked,
    unread,
    complete,
    warnings: withUnread(warnings, unread),
  };
}

/** Summary, findings with a command for each, unread sources, memory. */
export function hostTriageText(answer: HostTriage, options: TriageTextOptions): string {
  const { findings, memory, checked } = answer;
  const { width } = options;
  // A capture may lack sockets.
  const rest = answer.of.isCaptured ? 'memory' : 'skcheck';
  const { sentences, trees, next = rest } = concluded(findings, capturedFacts(answer));
  const said = (text: string): string[] => [...wrap(text, width), ''];
  const lines = [...wrap(hostSummary(answer), width), ...conclusionLines(sentences, options)];
  const missing = unreadWords(answer, options.verbose);
  if (missing !== undefined) lines.push(...wrap(missing, width));
  // A healthy machine is one line.
  if (findings.length === 0 && !options.verbose && (answer.complete || !memory)) return lines.join('\n');
  lines.push('', ...treeLines(trees, options, withCommand));
  if (options.verbose) lines.push(...said(`Checked: ${checked.join(', ')}.`));
  if (memory) lines.push(...said(memoryWords(memory, findings)));
  lines.push(`Next: ${hostCommand(next, options.source)}`);
  return lines.join('\n');
}

/** A finding, also without -v with the command that shows more. */
function withCommand(finding: Finding, options: TriageTextOptions): string[] {
  const { next, ...rest } = finding;
  const lines = findingLines(rest, options);
  return next === undefined ? lines : [...lines, `          More: ${hostCommand(next, options.source)}`];
}

/** skcheck is a command of its own, and reads this machine without an option. */
export function hostCommand(next: string, source: string): string {
  if (!next.startsWith('skcheck')) return `kdump-mem ${escapeText(next)} ${source}`;
  return source === '--live' ? escapeText(next) : `${escapeText(next)} ${source}`;
}

/** Checks that a reader looks for first. */
const MAIN_CHECKS: readonly HostCheckName[] = ['log', 'memory', 'processes', 'cgroups', 'sockets'];

/** The main checks by name, and the number of the others. */
function checkedWords(checked: readonly HostCheckName[]): string {
  const main = MAIN_CHECKS.filter((name) => checked.includes(name));
  const others = checked.length - main.length;
  if (others <= 1) return checked.join(', ') || 'nothing';
  return [...main, `${others} more`].join(', ');
}

/** Host, kernel, time, number of findings; escaped. */
export function hostSummary({ of, release, findings, complete, checked, failed }: HostTriage): string {
  const lacks = failed.map((words) => ` ${words.charAt(0).toUpperCase()}${escapeText(words.slice(1))}.`).join('');
  const notes = notesWords(findings);
  const found =
    severeWords(findings, complete, 'some data could not be read') ??
    (notes === undefined ? undefined : `${notes}.`) ??
    (complete
      ? `No problems found. Checked: ${checkedWords(checked)}.`
      : `No findings, but not every check could be completed. Completed: ${checkedWords(checked)}.`);
  const linux = release === '' ? 'Linux' : `Linux ${escapeText(release)}`;
  if (of.isCaptured) return `${linux}, ${capturedWords(of)}.${lacks} ${found}`;
  const host = of.name === undefined ? '' : `${escapeText(of.name)}, `;
  const at = of.taken ? `, ${of.taken.toISOString().slice(0, 19).replace('T', ' ')} UTC` : '';
  return `${host}${linux}${at}.${lacks} ${found}`;
}
