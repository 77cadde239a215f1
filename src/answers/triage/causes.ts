import { escapeText } from '../../base/escape.js';
import { percentWords } from '../../base/size.js';
import type { TriageJson } from '../../contracts/triage.js';
import { isRequestedCrash } from '../../log/words.js';
import { type CauseRelation, SEVERITIES } from '../../records/triage-codes.js';
import { type CauseFacts, type CauseLink, type Conclusion, causesOf, NOTABLE } from '../../triage/causes.js';
import { type Finding, isSameBoot } from '../../triage/finding.js';
import { hasTrait } from '../../triage/findings/all.js';
import { cgroupWords, size } from '../../triage/findings/declared.js';
import { USE_WORDS } from '../../triage/findings/memory.js';
import { findingSentences } from './words.js';

/** Links between findings, and the cause of the most severe one. */
export function causesJson(findings: readonly Finding[], facts: CauseFacts): Pick<TriageJson, 'causes' | 'conclusion'> {
  const { links, conclusion } = causesOf(findings, facts);
  return {
    causes: links,
    conclusion: conclusion
      ? { ...conclusion, words: conclusionSentences(conclusion, findings, links).join(' ') }
      : null,
  };
}

/** A finding and the findings that are printed below it. */
export interface FindingTree {
  readonly finding: Finding;
  /** Why it is below another finding; undefined: it is not. */
  readonly relation?: 'follows' | 'probable' | 'part';
  readonly below: readonly FindingTree[];
}

/** Parts of the text: the conclusion in sentences, findings below their causes, and the next command. */
export function concluded(
  findings: readonly Finding[],
  facts: CauseFacts,
): {
  readonly sentences: readonly string[];
  /** What is true now. */
  readonly trees: readonly FindingTree[];
  /** Past events that nothing present explains. */
  readonly earlier: readonly FindingTree[];
  /** The finding to act on. */
  readonly deciding: Finding | undefined;
  /** What used most when memory ran out, if no finding explains it; undefined: unknown, or explained. */
  readonly largestUse: LargestUse | undefined;
  /** A process that is larger than the cause, and may be a second one. */
  readonly second: string | undefined;
} {
  const { links, conclusion } = causesOf(findings, facts);
  const above = new Map<number, number>();
  for (const { effect, cause, relation } of links) {
    if (relation === 'same-process')
      for (const [index, finding] of findings.entries()) {
        const isSame = hasTrait(finding, 'unread') && finding.figures.pid === findings[cause]!.figures.pid;
        if (isSame && !above.has(index)) above.set(index, effect);
      }
    else above.set(effect, cause);
  }
  const relationOf = (index: number) => {
    if (hasTrait(findings[index]!, 'unread')) return 'part';
    const link = links.find(({ effect, relation }) => effect === index && relation !== 'same-process');
    return link && CERTAIN.includes(link.relation) ? 'follows' : 'probable';
  };
  const treeOf = (index: number): FindingTree => ({
    finding: findings[index]!,
    ...(above.has(index) ? { relation: relationOf(index) } : {}),
    below: [...above]
      .filter(([, parent]) => parent === index)
      .map(([child]) => treeOf(child))
      .toSorted((a, b) => worst(a) - worst(b)),
  });
  const all = findings
    .flatMap((_, index) => (above.has(index) ? [] : [treeOf(index)]))
    .toSorted((a, b) => worst(a) - worst(b) || panicFirst(a.finding, b.finding));
  const trees = all.filter((tree) => !isEarlier(tree));
  const earlier = all.filter(isEarlier);
  return {
    sentences: conclusion ? conclusionSentences(conclusion, findings, links) : [],
    trees,
    earlier,
    deciding: conclusion?.cause == null ? firstToLookAt(trees, earlier) : findings[conclusion.cause],
    largestUse: conclusion && largestUse(conclusion),
    second: conclusion?.cause == null ? undefined : secondCause(conclusion),
  };
}

function secondCause({ figures }: Pick<Conclusion, 'figures'>): string | undefined {
  const { bytes, shortfallBytes, largestPid, largestComm, largestRssBytes } = figures;
  // Only beside a cause that a shortfall has.
  return shortfallBytes == null || largestPid == null || Number(largestRssBytes) < Number(bytes)
    ? undefined
    : `pid ${largestPid} (${escapeText(String(largestComm))})`;
}

/** `unusable`: free memory that the request could not use. */
export type LargestUse = 'processes' | 'slab' | 'unusable' | 'other';

function largestUse({ cause, confidence, figures }: Conclusion): LargestUse | undefined {
  if (cause !== null) return undefined;
  if (figures.unusable != null) return 'unusable';
  if (confidence === 'unknown') return isMuch(figures) ? 'other' : undefined;
  if (figures.slabCache != null || /slab/.test(String(figures.counter))) return 'slab';
  if (figures.counter == null) return undefined;
  return figures.largestPid != null || /^anonymous/.test(String(figures.counter)) ? 'processes' : 'other';
}

const isMuch = ({ bytes, managedBytes }: Conclusion['figures']): boolean =>
  Number(bytes ?? 0) >= NOTABLE * Number(managedBytes ?? Number.POSITIVE_INFINITY);

/** A panic that nobody requested ended its boot: what the same log has of that boot besides stands below it. */
function panicFirst(a: Finding, b: Finding): number {
  return isSameBoot(a, b) ? Number(isFault(b)) - Number(isFault(a)) : 0;
}

const isFault = ({ code, figures }: Finding): boolean => code === 'panic' && !isRequestedCrash(String(figures.reason));

/** The most severe finding; an OOM kill of the last hour comes before notes, another critical event before a note. */
function firstToLookAt(trees: readonly FindingTree[], [event]: readonly FindingTree[]): Finding | undefined {
  // Without its reason, a panic leads nowhere.
  const known = trees.find(({ finding: { code, figures } }) => code !== 'panic' || figures.reason != null);
  const first = known && known.finding.severity !== 'note' ? known : trees[0];
  const [now, past] = [first?.finding, event?.finding];
  if (!past || past.severity === 'note' || (now && now.severity !== 'note')) return now;
  const isRecentKill = past.code === 'oom-kill' && Number(past.figures.secondsAgo ?? Infinity) < 3600;
  return isRecentKill || (now && past.severity === 'critical') ? past : now;
}

/** Findings in the order of the text: causes before what follows from them, past events last. */
export function inTextOrder(findings: readonly Finding[], facts: CauseFacts): readonly Finding[] {
  const { trees, earlier } = concluded(findings, facts);
  const flat = ({ finding, below }: FindingTree): Finding[] => [finding, ...below.flatMap(flat)];
  return [...trees, ...earlier].flatMap(flat);
}

/** Whether a finding and all below it are past events. */
const isEarlier = ({ finding, below }: FindingTree): boolean => finding.past === true && below.every(isEarlier);

/** Links that a message of the kernel, or a rule, states; figures support the others. */
const CERTAIN: readonly CauseRelation[] = ['panic-message', 'rule'];

/** Place in {@link SEVERITIES} of the most severe finding of a tree. */
function worst({ finding, below }: FindingTree): number {
  return Math.min(SEVERITIES.indexOf(finding.severity), ...below.map(worst));
}

const percent = (part: unknown, whole: unknown): string =>
  typeof part === 'number' && typeof whole === 'number' && whole > 0 ? percentWords((100 * part) / whole) : '?';

/** The probable cause, how sure it is, and what would make it wrong. */
export function conclusionSentences(
  { confidence, effect, cause, figures }: Conclusion,
  findings: readonly Finding[],
  links: readonly CauseLink[] = [],
): readonly string[] {
  const { bytes, shortfallBytes, managedBytes, counter } = figures;
  const { largestPid, largestComm, largestRssBytes } = figures;
  const process = `pid ${largestPid} (${escapeText(String(largestComm))})`;
  const { cgroup, useBytes, freeBytes } = figures;
  const total = managedBytes == null ? 'memory' : size(managedBytes);
  const ofTotal = `${percent(bytes, managedBytes)} of ${cgroup == null ? total : 'its limit'}`;
  const when = cgroup == null ? 'when memory ran out' : `when ${cgroupWords(cgroup)} reached its limit`;
  if (confidence === 'unknown' && useBytes != null)
    return [
      `Cause not found: ${size(useBytes)} (${percent(useBytes, managedBytes)} of memory) is ${USE_WORDS[String(figures.use)] ?? 'of an unknown kind'}, and no finding explains it.`,
    ];
  if (confidence === 'unknown' && figures.use === null) return ['Cause unknown: counters of memory are missing.'];
  if (confidence === 'unknown')
    return [
      bytes == null && managedBytes == null && cgroup == null
        ? 'Cause unknown: the log contains no memory counters of that time.'
        : bytes == null
          ? 'Cause not found: no finding and no counter explains the shortage.'
          : `Cause not found: when memory ran out, ${size(bytes)} (${ofTotal}) was in no kernel counter (socket buffers and pages of drivers are in none), and no finding explains it.`,
    ];
  const label = confidence === 'likely' ? 'Probable cause' : 'Possible cause';
  if (cause === null && useBytes != null)
    return [
      `${label}: ${process} has ${size(bytes)} of anonymous memory (${ofTotal}). If it normally needs that much, the machine is too small.`,
    ];
  if (cause === null && figures.score != null)
    return [
      `${label}: ${process} used about ${Math.round(Number(figures.score) / 10)} % of memory and swap, by its OOM score of ${figures.score}.`,
    ];
  const cache =
    figures.slabCache == null
      ? ''
      : `slab cache ${escapeText(String(figures.slabCache))} had ${size(figures.slabCacheBytes)}`;
  if (cause === null && bytes == null && cache !== '')
    return [
      `${label}: ${cache}.`,
      'The kernel lists slab caches only if unreclaimable slab exceeds the memory of all processes.',
    ];
  if (cause === null && figures.unusable != null)
    return [
      `${label}: ${when}, ${size(bytes)}${managedBytes == null ? '' : ` (${ofTotal})`} was free in ${escapeText(String(figures.unusable)).replace(/, CMA$/, ' and CMA')}, which this request cannot use.`,
      ...(/CMA$/.test(String(figures.unusable)) ? ['A smaller CMA area helps (boot option cma=).'] : []),
      ...(figures.unusable === 'CMA' ? [] : ['A 64-bit kernel has no HighMem: it can use all memory.']),
    ];
  if (cause === null) {
    if (confidence === 'likely' && cgroup != null && largestPid != null)
      return [
        `${label}: ${cgroupWords(cgroup)} was at its limit of ${size(managedBytes)} with ${size(bytes)} of ${escapeText(String(counter))}; most of it belonged to ${process}, RSS ${size(largestRssBytes)}.`,
        'Before you raise the limit, check whether the process grew: this log does not show it.',
      ];
    // The kind of memory is a fact, and no cause.
    const held = `Largest use ${when}: ${escapeText(String(counter))}, ${size(bytes)} (${ofTotal})`;
    if (cache !== '') return [`${held}; ${cache}.`];
    const doubt = 'The log does not show what grew: compare with normal use.';
    return largestPid == null
      ? [`${held}.`, doubt]
      : [`${held}; largest process: ${process}, RSS ${size(largestRssBytes)}.`, doubt];
  }
  const explaining = findings[cause]!;
  const [headline] = findingSentences(explaining);
  const named = headline.replace(/\.$/, '');
  if (freeBytes != null)
    return [
      `${label}: ${named}.`,
      `Without it, ${size(freeBytes)} would be available; now it is ${size(figures.availableBytes)}.`,
      ...(Number(largestRssBytes ?? 0) > Number(freeBytes) - Number(figures.availableBytes)
        ? [`Check ${process} too: it has ${size(largestRssBytes)} of anonymous memory.`]
        : []),
    ];
  const bare = ['unread-sockets', 'hard-lockup'].includes(explaining.code) ? named.replace(/^[^:]*: /, '') : named;
  if (bytes == null) {
    if (cause === effect) return [];
    const effects = links.filter((link) => link.cause === cause && link.relation !== 'same-process');
    const isCertain = effects.length > 0 && effects.every(({ relation }) => CERTAIN.includes(relation));
    const [, name] = /^([A-Z][a-z ]+): /.exec(findingSentences(findings[effect]!)[0]) ?? [];
    const ofZone = name === undefined ? '' : ` of the ${name.toLowerCase()}`;
    const of = effects.length > 1 ? ` of ${effects.length} findings` : ofZone;
    return [
      `${isCertain ? 'Cause' : label}${of}: ${bare}.`,
      ...(explaining.code === 'hard-lockup'
        ? ['Why that CPU stopped is unknown: its stack trace in the log may show it.']
        : []),
    ];
  }
  // Its name adds nothing here: "Memory pinned by sockets: 16 sockets …".
  const pinned = explaining.code === 'vmalloc' ? named : named.replace(/^[^:]*: /, '');
  const pinning = `${label}: ${pinned}${figures.unreadSockets == null ? '' : ', because the process does not read them'}.`;
  const counted =
    managedBytes == null
      ? `${size(shortfallBytes)} of memory is in no counter of the kernel: this cause explains ${percent(bytes, shortfallBytes)} of that.`
      : `${size(shortfallBytes)} of memory is in no row of the OOM report: this cause explains ${percent(bytes, shortfallBytes)} of that.`;
  const wrong =
    secondCause({ figures }) === undefined
      ? []
      : [
          `${process} is larger, RSS ${size(largestRssBytes)}: if that is more than it normally uses, it is a second cause.`,
        ];
  return [pinning, counted, ...wrong];
}
