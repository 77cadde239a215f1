import { escapeText } from '../../base/escape.js';
import { inflect } from '../../base/size.js';
import { grouped } from '../../base/util.js';
import type { Adjusted, RulesOutcome } from '../../contracts/triage.js';
import { isRequestedOops } from '../../log/words.js';
import type { Finding } from '../../triage/finding.js';
import { FINDINGS, type FindingCode } from '../../triage/findings/all.js';
import { type Figure, type Figures, percent, size, text, type Words } from '../../triage/findings/declared.js';
import { PLACE } from '../../triage/rules/names.js';

/** Bounds that differ by more say little: only -v shows them. */
const WIDE = 4;

/** Figures that repeat what the cause above an effect says. */
const OF_CAUSE: Readonly<Record<string, readonly string[]>> = {
  'oom-kill': ['unattributedBytes', 'largestPid', 'shortage'],
  panic: ['cause', 'pid'],
  'soft-lockup': ['symbol'],
};

/** Figures without those that the finding above has. */
function withoutCause(code: string, of: Figures): Figures {
  return { ...of, ...Object.fromEntries((OF_CAUSE[code] ?? []).map((name) => [name, null])) };
}

/**
 * Figures without bounds that are far from the estimate or from each other, and without what a kill would have freed.
 */
function withoutDetails({ freedIfKilledBytes: _, ...of }: Figures): Figures {
  const { leastBytes, mostBytes, pinnedBytes, peersBytes } = of;
  if (peersBytes && Number(mostBytes) > WIDE * Number(pinnedBytes)) return { ...of, mostBytes: null };
  if (leastBytes == null) return of;
  const isWide = Number(mostBytes ?? pinnedBytes) > WIDE * Number(leastBytes);
  return isWide ? { ...of, leastBytes: null, mostBytes: null } : of;
}

/** Number of findings with those that a limit omitted. */
export const numberOf = (findings: readonly Finding[]): number =>
  findings.reduce((sum, { figures }) => sum + 1 + Number(figures.others ?? 0), 0);

/**
 * Further unread sockets of one process, without a sum: they may share pinned memory.
 *
 * @param isCounted whether the headline has their number
 */
export function othersWords(others: readonly Finding[], isCounted: boolean): string {
  if (others.every(({ code }) => code === 'hung-task'))
    return others.length === 1 ? '1 more task hung.' : `${others.length} more tasks hung.`;
  const fds = others
    .map(({ figures }) => Number(figures.fd))
    .toSorted((a, b) => a - b)
    .slice(0, 3);
  const more = numberOf(others) - fds.length;
  if (!isCounted)
    return `It is not reading ${numberOf(others)} more ${inflect(numberOf(others), 'socket')} (fd ${fds.join(', ')}${more > 0 ? ' and others' : ''}).`;
  const verb = more > 0 ? 'The others include' : inflect(fds.length, 'The other is', 'The others are');
  return `${verb} fd ${fds.join(', ')}.`;
}

/** The sentence of a rule, with figures formatted by their names. */
function filled(sentence: string, figures: Figures): string {
  return sentence
    .split(PLACE)
    .map((part, index) => (index % 2 === 0 ? escapeText(part) : figureWords(part, figures[part])))
    .join('');
}

function figureWords(name: string, figure: Figure | undefined): string {
  if (typeof figure === 'number' && /[bB]ytes$/.test(name)) return size(figure);
  if (typeof figure === 'number' && /[sS]hare$/.test(name)) return percent(figure);
  return text(figure);
}

export const ageWords = (seconds: number): string => {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
};

/**
 * A finding: its headline, which begins with its name, and further sentences.
 *
 * @param isEffect the finding is printed below its cause
 */
export function findingSentences(
  { code, figures, rule, title, past }: Pick<Finding, 'code' | 'figures' | 'rule' | 'title' | 'past'>,
  verbose = false,
  isEffect = false,
): readonly [string, ...string[]] {
  const { times, others, boot, boots, bootId, log, secondsAgo, secondsBeforeEnd, subject, againPid, againBytes } =
    figures;
  const words = rule
    ? filled(rule.message, figures)
    : (FINDINGS[code as FindingCode].words as (figures: Figures, title?: string) => Words)(
        verbose ? figures : withoutDetails(isEffect ? withoutCause(code, figures) : figures),
        title,
      );
  const [headline, ...details] = typeof words === 'string' ? ([words] as const) : words;
  // The figures are those of the last one.
  const again = typeof times === 'number' && times > 1 ? times : 1;
  const ended = typeof secondsAgo === 'number' && (past || (secondsAgo >= 3600 && subject !== 'unknown'));
  const last =
    ended && again > 1 ? `, the last time about ${ageWords(secondsAgo)} ago; the machine continued to run` : '';
  // Of one name: not one process again and again.
  const seen =
    code === 'oom-kill' && figures.pid != null
      ? `The OOM killer chose processes of this name ${again} times${figures.scope === 'cgroup' ? ' in this cgroup' : ''}`
      : `Seen ${again} times`;
  if (again > 1) details.push(`${seen}${last}.`);
  if (typeof secondsAgo === 'number' && last === '')
    details.push(
      ended
        ? `That was about ${ageWords(secondsAgo)} ago; the machine continued to run.`
        : `The log reported it ${ageWords(secondsAgo)} ago.`,
    );
  if (typeof secondsBeforeEnd === 'number' && secondsAgo === undefined)
    details.push(
      `That was about ${ageWords(secondsBeforeEnd)} before the end of the log; the machine continued to run.`,
    );
  if (againPid != null)
    details.push(`It may happen again: pid ${text(againPid)}, of the same name, has ${size(againBytes)}.`);
  if (subject === 'gone') details.push(code === 'oom-kill' ? 'The cgroup is gone.' : 'The process is gone.');
  if (subject === 'unrepeated') details.push('The kernel has not reported it again.');
  if (subject === 'unknown') details.push('Whether the task still hangs is unknown.');
  if (subject === 'running') details.push('The process is no longer in state D.');
  if (typeof others === 'number') details.push(`${others} more findings of this kind are not listed.`);
  if (boot != null)
    details.push(`${bootWords(boot)}${bootId == null ? '' : ` (${text(bootId)})`} of ${text(boots)} in the log.`);
  if (log != null) details.push(`Log: ${text(log)}.`);
  return [headline, ...details];
}

/** Which boot of several, as --boot counts them: 0 is the last one. */
function bootWords(boot: Figures[string]): string {
  if (boot === 0) return 'In the last boot';
  const before = -Number(boot);
  return `Boot ${text(boot)}: ${before === 1 ? 'the one' : text(before)} before the last`;
}

const STALLS: ReadonlySet<string> = new Set(['soft-lockup', 'hard-lockup', 'rcu-stall', 'hung-task']);

/** What loads or removes any module: system calls, and the names of its own functions; not a driver's `nvidia_init_module`. */
const LOADS_MODULES =
  / in (?:(?:do_|idempotent_)?init_module|cleanup_module|(?:__[a-z0-9_]+_)?(?:sys|SyS|SYSC)_(?:f?init|delete)_module)$/;

/** The name by which bug trackers know it, where the headline does not contain it. */
export function titleWords(finding: Parameters<typeof findingSentences>[0]): string | undefined {
  if (finding.title === undefined) return undefined;
  // Only the stack tells failed allocations from each other.
  if (finding.code === 'allocation-failure') return undefined;
  // Trackers file reports without a function, or with a placeholder, under a name that identifies no problem.
  if (/\bcorrupted$|\bNUM\b/.test(finding.title) || LOADS_MODULES.test(finding.title)) return undefined;
  // Of a stall they name the victim; of a crash that was requested, no fault.
  if (STALLS.has(finding.code) || isRequestedOops(finding.figures.symbol)) return undefined;
  const title = escapeText(finding.title);
  const known = findingSentences(finding)[0].toLowerCase();
  return known.includes(title.toLowerCase()) ? undefined : title;
}

/** The same in one text. */
export function findingWords(finding: Parameters<typeof findingSentences>[0]): string {
  return findingSentences(finding).join(' ');
}

/** The advice of a rule; undefined: none. */
export function adviceWords({ figures, rule }: Pick<Finding, 'figures' | 'rule'>): string | undefined {
  return rule?.advice === undefined ? undefined : filled(rule.advice, figures);
}

/**
 * Effects of rules beside their findings: silenced and changed ones, and rules that could not be evaluated.
 */
export function rulesLines({ rules, matched, unknown, silenced, changed }: RulesOutcome): string[] {
  return [
    `Rules: ${matched} of ${rules} matched.`,
    ...silenced.map(silencedWords),
    ...changed.map(changedWords),
    ...[...grouped(unknown, ({ why }) => why)].map(([why, all]) => {
      const codes = [...new Set(all.map(({ code }) => code))].join(', ');
      return `Not evaluated: ${escapeText(codes)} (${escapeText(why)}).`;
    }),
  ];
}

function silencedWords({ code, from, findings, because }: Adjusted): string {
  return `Silenced: ${counted(findings, code)} (${from}). ${escapeText(because)}`;
}

function changedWords({ code, from, to, findings, because }: Adjusted): string {
  return `Severity changed: ${counted(findings, code)}, ${from} to ${to}. ${escapeText(because)}`;
}

function counted(findings: number, code: string): string {
  return `${findings} ${code} ${inflect(findings, 'finding')}`;
}
