import type { CauseRelation, Confidence } from '../records/triage-codes.js';
import { type Finding, isSameBoot, lastTime } from './finding.js';
import { type FindingCode, hasTrait } from './findings/all.js';
import type { Figures } from './findings/declared.js';
import { isHalted } from './hypervisor.js';

/** A link from a finding to its cause. Both are indexes in the list of findings. */
export interface CauseLink {
  readonly effect: number;
  readonly cause: number;
  readonly relation: CauseRelation;
  /** Figures that support the link, with fixed names for each relation. */
  readonly figures: Figures;
}

/** Cause of the most severe finding. */
export interface Conclusion {
  readonly confidence: Confidence;
  /** Index of the finding that is explained. */
  readonly effect: number;
  /** Index of the finding that explains it; null: a figure of the effect explains it, or nothing. */
  readonly cause: number | null;
  readonly figures: Figures;
}

export interface Causes {
  readonly links: readonly CauseLink[];
  readonly conclusion: Conclusion | undefined;
}

/** Facts in addition to the findings. */
export interface CauseFacts {
  /**
   * Seconds from boot to the time of the memory findings; undefined: unknown, or the log is from another
   * boot.
   */
  readonly uptimeSeconds: number | undefined;
  readonly complete: boolean;
  /** Memory was read from counters or page flags, which attribute no page to a socket. */
  readonly socketsUncounted?: boolean;
}

/** A shortfall below this share of memory is noise: per-CPU pages, pages that are being freed. */
export const NOTABLE = 0.1;
/** A finding explains a shortfall if it accounts for at least this share. */
const EXPLAINS = 0.5;
/** Above this share, a finding exceeds the shortfall: the figures are inconsistent. */
const TOO_MUCH = 1.5;
/** Maximum difference in seconds between the dump and a report in its log that describe the same moment. */
const SAME_MOMENT = 10;

/**
 * Links findings to their causes if a figure or a fact supports it.
 *
 * A panic follows from the event that its message names. A shortage follows from memory in no counter of the
 * report, if the current owner of that memory already held it then. A finding has at most one cause, so links
 * form trees.
 */
export function causesOf(findings: readonly Finding[], facts: CauseFacts): Causes {
  const links = new Map<number, CauseLink>();
  const link = (candidate: CauseLink | undefined): void => {
    if (!candidate || candidate.effect === candidate.cause || links.has(candidate.effect)) return;
    // No cycles: the cause must not follow from the effect.
    for (let at: number | undefined = candidate.cause; at !== undefined; at = links.get(at)?.cause)
      if (at === candidate.effect) return;
    links.set(candidate.effect, candidate);
  };
  for (const candidate of byRule(findings)) link(candidate);
  for (const [index, finding] of findings.entries()) {
    if (finding.code === 'panic') link(causeOfPanic(findings, index));
    if (isShortage(finding)) link(causeOfShortage(findings, index, facts));
  }
  for (const [index, { code, figures }] of findings.entries()) {
    if (code === 'soft-lockup' || code === 'rcu-stall') link(causeOfLockup(findings, index));
    if (code === 'low-memory') link(causeOfLowZone(findings, index, links));
    if (['cgroup-near-limit', 'oom-kills', 'memory-pressure'].includes(code)) link(causeInCgroup(findings, index));
    if (code === 'low-available') link(causeOfLittle(findings, index));
    if (code === 'low-memory' || code === 'memory-pressure') link(causeNow(findings, index));
    if (WRITERS.has(code)) link(causeOfWriter(findings, index));
    if (code === 'unattributed-memory' && facts.socketsUncounted) link(causeOfUnattributed(findings, index));
    if (code === 'queued-data-of-process' || code === 'queued-data') link(causeOfQueue(findings, index, figures));
  }
  const conclusion = conclusionOf(findings, links, facts);
  return {
    links: [...links.values()].toSorted((a, b) => a.effect - b.effect),
    conclusion: isOver(findings, conclusion) ? undefined : conclusion,
  };
}

/** Whether nothing that is true now explains a past event: what was its cause then is in the event itself. */
function isOver(findings: readonly Finding[], conclusion: Conclusion | undefined): boolean {
  if (!conclusion || !findings[conclusion.effect]?.past) return false;
  return conclusion.cause === null || findings[conclusion.cause]?.past === true;
}

/** Links defined by a team's rules. */
function* byRule(findings: readonly Finding[]): Generator<CauseLink> {
  for (const [cause, { rule }] of findings.entries()) {
    if (rule?.causes === undefined) continue;
    for (const [effect, { code }] of findings.entries())
      if (rule.causes.includes(code)) yield { effect, cause, relation: 'rule', figures: {} };
  }
}

/** Reasons in the message of a panic (kernel/panic.c and its callers), with the finding's code. */
const PANIC_REASONS: readonly (readonly [RegExp, FindingCode])[] = [
  [/out of memory/i, 'oom-kill'],
  [/fatal exception|Oops/i, 'oops'],
  [/hung_task/, 'hung-task'],
  [/softlockup/, 'soft-lockup'],
  [/hard lockup/i, 'hard-lockup'],
  [/RCU Stall/i, 'rcu-stall'],
];

/** The last finding of the kind that the message names: others of that kind did not end in a panic. */
function causeOfPanic(findings: readonly Finding[], effect: number): CauseLink | undefined {
  const { figures } = findings[effect]!;
  const reason = String(figures.reason ?? '');
  const [, code] = PANIC_REASONS.find(([message]) => message.test(reason)) ?? [];
  if (code === undefined) return undefined;
  const candidates = [...findings.entries()].filter(
    ([, finding]) =>
      finding.code === code &&
      isSameBoot(finding, findings[effect]!) &&
      // If the OOM killer killed a victim, the kernel continued.
      (code !== 'oom-kill' || ['panic', 'no-killable-process'].includes(String(finding.figures.outcome))),
  );
  const last = candidates.toSorted(([, a], [, b]) => lastTime(b) - lastTime(a))[0];
  return last && { effect, cause: last[0], relation: 'panic-message', figures: { reason } };
}

function isShortage({ code, figures }: Finding): boolean {
  return code === 'oom-kill' && figures.scope === 'machine' && figures.reason === 'global';
}

function isGroupShortage({ code, figures }: Finding): boolean {
  return code === 'oom-kill' && figures.scope === 'cgroup';
}

const bytesOf = ({ figures }: Finding): number => Number(figures.pinnedBytes ?? figures.bytes ?? 0);

/** The largest finding of some, with its index. */
const largestOf = (findings: readonly Finding[], isMeant: (finding: Finding) => boolean) =>
  [...findings.entries()]
    .filter(([, finding]) => isMeant(finding))
    .toSorted(([, a], [, b]) => bytesOf(b) - bytesOf(a))[0];

/**
 * Links a shortage to the largest owner of memory outside the report's counters, if it already held that
 * memory then.
 */
function causeOfShortage(findings: readonly Finding[], effect: number, facts: CauseFacts): CauseLink | undefined {
  const { unattributedBytes, managedBytes } = findings[effect]!.figures;
  if (typeof unattributedBytes !== 'number' || typeof managedBytes !== 'number') return undefined;
  if (unattributedBytes < NOTABLE * managedBytes) return undefined;
  const since = secondsSince(findings[effect]!, facts);
  const largest = largestOf(
    findings,
    (finding) => hasTrait(finding, 'uncounted') && wasThere(findings, finding, since),
  );
  if (!largest) return undefined;
  const [cause, finding] = largest;
  const share = bytesOf(finding) / unattributedBytes;
  if (share < EXPLAINS || share > TOO_MUCH) return undefined;
  return {
    effect,
    cause,
    relation: 'share-of-shortfall',
    figures: { bytes: bytesOf(finding), shortfallBytes: unattributedBytes, share: Math.min(1, share) },
  };
}

/**
 * Seconds from a report to the time of the dump; undefined: unknown, or the report may be from another boot.
 */
function secondsSince({ figures, evidence }: Finding, { uptimeSeconds }: CauseFacts): number | undefined {
  const then = lastTime({ evidence });
  const isElsewhere = figures.log != null || (figures.boot ?? 0) !== 0;
  if (uptimeSeconds === undefined || then < 0 || isElsewhere) return undefined;
  return Math.max(0, uptimeSeconds - then);
}

/**
 * Whether memory that is pinned now was pinned at the time of the report: the dump is of the same moment, or
 * the data is older than the report.
 */
function wasThere(findings: readonly Finding[], { figures }: Finding, since: number | undefined): boolean {
  if (since === undefined) return false;
  if (since <= SAME_MOMENT) return true;
  return findings.some(
    ({ code, figures: of }) =>
      code === 'stalled-reader' && of.pid !== null && of.pid === figures.pid && Number(of.ageSeconds ?? 0) >= since,
  );
}

/** Functions in which a CPU waits until another one answers an interrupt. */
const WAITS_FOR_CPU = /^(?:smp_call_function|csd_lock)/;

/**
 * Links a CPU that waits for a stuck one to that one, and a CPU that was stuck while it halted to the hypervisor, which
 * did not run it.
 */
function causeOfLockup(findings: readonly Finding[], effect: number): CauseLink | undefined {
  const lockup = findings[effect]!;
  const { code, figures } = lockup;
  const stuck = findings.findIndex(
    (finding) =>
      finding.code === 'hard-lockup' &&
      typeof finding.figures.cpu === 'number' &&
      (code === 'rcu-stall'
        ? String(figures.cpus).trim().split(' ').includes(`${finding.figures.cpu}`)
        : finding.figures.cpu !== figures.cpu && WAITS_FOR_CPU.test(String(figures.symbol))),
  );
  if (stuck >= 0)
    return { effect, cause: stuck, relation: 'waits-for-cpu', figures: { cpu: findings[stuck]!.figures.cpu ?? null } };
  if (code === 'rcu-stall') return undefined;
  const cause = findings.findIndex(({ code }) => code === 'hypervisor-overcommitted');
  if (cause < 0 || !isHalted(lockup)) return undefined;
  return { effect, cause, relation: 'idle-cpu', figures: { cpu: lockup.figures.cpu ?? null } };
}

/** Links a zone that is short of memory now to the shortage of the same zone. */
function causeOfLowZone(
  findings: readonly Finding[],
  effect: number,
  links: ReadonlyMap<number, CauseLink>,
): CauseLink | undefined {
  const { zone, node } = findings[effect]!.figures;
  for (const { effect: shortage, cause, relation } of links.values()) {
    const { figures } = findings[shortage]!;
    if (relation === 'share-of-shortfall' && figures.zone === zone && figures.node === node)
      return { effect, cause, relation: 'same-zone', figures: { zone: zone!, node: node! } };
  }
  return undefined;
}

/** Links what a cgroup shows now to the report of its OOM kill, and its pressure to its limit. */
function causeInCgroup(findings: readonly Finding[], effect: number): CauseLink | undefined {
  const { code, figures } = findings[effect]!;
  const { cgroup = null } = figures;
  const isCause =
    code === 'memory-pressure' ? (finding: Finding) => finding.code === 'cgroup-near-limit' : isGroupShortage;
  const cause = findings.findIndex((finding) => isCause(finding) && finding.figures.cgroup === cgroup);
  return cause < 0 || cgroup === null ? undefined : { effect, cause, relation: 'same-cgroup', figures: { cgroup } };
}

/** Share of memory that is available on a machine without a shortage. */
const ENOUGH = 0.1;

/**
 * Links little available memory to the largest excess, if there would be enough without it. Where the largest use is in
 * no counter, a smaller excess is no cause.
 */
function causeOfLittle(findings: readonly Finding[], effect: number): CauseLink | undefined {
  const { use, useBytes, availableBytes, totalBytes } = findings[effect]!.figures;
  const [available, total] = [Number(availableBytes), Number(totalBytes)];
  const isUncounted = use === 'uncounted' || use === 'missing-counters';
  // By counters alone there is only an upper bound.
  const amount = (finding: Finding) => bytesOf(finding) || Number(finding.figures.mostBytes ?? 0);
  const [largest] = [...findings.entries()]
    .filter(([, finding]) =>
      finding.code === 'unattributed-memory' && isUncounted
        ? true
        : hasTrait(finding, 'excessive') && finding.severity !== 'note',
    )
    .toSorted(([, a], [, b]) => amount(b) - amount(a));
  if (!largest) return undefined;
  const [cause, finding] = largest;
  const bytes = amount(finding);
  const share = (available + bytes) / total;
  const isSmaller = isUncounted && bytes < EXPLAINS * Number(useBytes);
  if (!(share >= ENOUGH) || isSmaller) return undefined;
  const figures = { freeBytes: available + bytes, share, availableBytes: available };
  return { effect, cause, relation: 'frees-enough', figures };
}

/** Memory of sockets that may be send queues. */
const WRITERS: ReadonlySet<string> = new Set(['queued-data-of-process', 'orphaned-sockets']);

/** Links send queues to the local process that does not read them, if they are the larger part. */
function causeOfWriter(findings: readonly Finding[], effect: number): CauseLink | undefined {
  const { pid = null, pinnedBytes } = findings[effect]!.figures;
  const cause = findings.findIndex(
    ({ code, figures }) =>
      code === 'unread-sockets' &&
      (figures.peerPid ?? null) === pid &&
      figures.pid !== pid &&
      Number(figures.peersBytes ?? 0) >= EXPLAINS * Number(pinnedBytes),
  );
  if (cause < 0) return undefined;
  return { effect, cause, relation: 'local-peer', figures: { pid: findings[cause]!.figures.pid ?? null } };
}

/** Links a symptom of the machine to little available memory, or else to a cgroup that stalls. */
function causeNow(findings: readonly Finding[], effect: number): CauseLink | undefined {
  const { code, figures } = findings[effect]!;
  if (figures.cgroup != null) return undefined;
  const little = findings.findIndex((finding) => finding.code === 'low-available');
  const stalled = findings.findIndex(
    ({ figures: of }) => of.cgroup != null && Number(of.fullAvg60 ?? 0) >= EXPLAINS * Number(figures.fullAvg60),
  );
  const cause = little < 0 && code === 'memory-pressure' ? stalled : little;
  return cause < 0 ? undefined : { effect, cause, relation: 'same-moment', figures: {} };
}

/** Links unattributed memory to sockets: without kernel memory, the memory that they pin is unattributed. */
function causeOfUnattributed(findings: readonly Finding[], effect: number): CauseLink | undefined {
  const shortfallBytes = bytesOf(findings[effect]!);
  const largest = largestOf(
    findings,
    (finding) => hasTrait(finding, 'uncounted') && finding.code !== 'unattributed-memory',
  );
  if (!largest || shortfallBytes === 0) return undefined;
  const [cause, finding] = largest;
  const share = bytesOf(finding) / shortfallBytes;
  if (share < EXPLAINS || share > TOO_MUCH) return undefined;
  const bytes = bytesOf(finding);
  const figures = { bytes, shortfallBytes, share: Math.min(1, share) };
  return { effect, cause, relation: 'share-of-shortfall', figures };
}

/** Links a queue to its process, which does not read it. */
function causeOfQueue(
  findings: readonly Finding[],
  effect: number,
  { pid, sock, pinnedBytes, sockets = 1 }: Finding['figures'],
): CauseLink | undefined {
  if (pid == null) return undefined;
  const stalled = [...findings.entries()].filter(
    ([, { code, figures }]) =>
      hasTrait({ code }, 'unread') && figures.pid === pid && (sock === undefined || figures.sock === sock),
  );
  const bytes = stalled.reduce((sum, [, finding]) => sum + bytesOf(finding), 0);
  const [first] = stalled;
  // The list of stalled readers is limited: its last entry has the number of omitted ones.
  const count = stalled.reduce(
    (sum, [, finding]) => sum + Number(finding.figures.sockets ?? 1) + Number(finding.figures.others ?? 0),
    0,
  );
  const isMost = bytes >= EXPLAINS * Number(pinnedBytes) || count >= EXPLAINS * Number(sockets);
  if (!first || !isMost) return undefined;
  const ages = stalled.map(([, { figures }]) => Number(figures.ageSeconds ?? 0));
  return {
    effect,
    cause: first[0],
    relation: 'same-process',
    figures: { pid, sockets: count, ageSeconds: Math.min(...ages) },
  };
}

/** Counters of a report for memory that reclaim cannot free, by figure. */
const HELD = {
  anonBytes: 'anonymous memory',
  sharedBytes: 'shared memory and tmpfs',
  slabUnreclaimableBytes: 'unreclaimable slab',
  pageTableBytes: 'page tables',
  kernelStackBytes: 'kernel stacks',
  hugePageBytes: 'huge pages (hugetlb)',
  unevictableBytes: 'unevictable memory (ramfs, an unpacked initramfs, or mlock)',
  unattributedBytes: 'memory in no kernel counter',
} as const;

/**
 * Conclusion about the first of the most severe findings with a cause; otherwise about an unexplained
 * shortage.
 */
function conclusionOf(
  findings: readonly Finding[],
  links: ReadonlyMap<number, CauseLink>,
  { complete }: CauseFacts,
): Conclusion | undefined {
  const isWorth = (least: readonly Finding['severity'][]) => (finding: Finding, index: number) =>
    least.includes(finding.severity) &&
    (isShortage(finding) ||
      isGroupShortage(finding) ||
      finding.code === 'low-available' ||
      (links.get(index)?.relation ?? 'same-process') !== 'same-process');
  const ranks = [false, true].flatMap((past) => (['critical', 'warning'] as const).map((least) => ({ past, least })));
  const places = ranks.map(({ past, least }) =>
    findings.findIndex((finding, index) => isWorth([least])(finding, index) && (finding.past === true) === past),
  );
  const effect = places.find((place) => place >= 0);
  if (effect === undefined) return undefined;
  let cause = effect;
  let share: CauseLink | undefined;
  for (let at = links.get(effect); at && at.relation !== 'same-process'; at = links.get(at.cause)) {
    cause = at.cause;
    if (at.relation === 'share-of-shortfall') share = at;
  }
  const shortage = share?.effect ?? (isShortage(findings[cause]!) ? cause : undefined);
  if (share) {
    const reading = links.get(cause);
    const { largestPid, largestComm, largestRssBytes, managedBytes } = findings[share.effect]!.figures;
    return {
      confidence: complete ? 'likely' : 'possible',
      effect,
      cause,
      figures: {
        ...share.figures,
        ...(reading ? { unreadSockets: reading.figures.sockets ?? null } : {}),
        largestPid: largestPid ?? null,
        largestComm: largestComm ?? null,
        largestRssBytes: largestRssBytes ?? null,
        managedBytes: managedBytes ?? null,
      },
    };
  }
  const group = findings[cause]!;
  if (isGroupShortage(group)) return { effect, cause: null, ...byGroup(group) };
  const little = [...links.values()].find((link) => link.cause === cause && link.relation === 'frees-enough');
  if (little) {
    const { pid = null, comm = null, anonBytes = null } = findings[little.effect]!.figures;
    const largest = { largestPid: pid, largestComm: comm, largestRssBytes: anonBytes };
    const confidence = group.severity === 'note' ? 'possible' : 'likely';
    return { confidence, effect, cause, figures: { ...little.figures, ...largest } };
  }
  if (group.code === 'low-available') return { effect, cause: null, ...byUse(group.figures) };
  if (shortage === undefined) {
    const isProven = findings[cause]!.code !== 'hypervisor-overcommitted';
    return { confidence: isProven ? 'likely' : 'possible', effect, cause, figures: {} };
  }
  return { effect, cause: null, ...byCounters(findings[shortage]!.figures) };
}

/** The largest process, if it has most of the largest use; otherwise the use is open. */
function byUse({
  pid,
  comm,
  anonBytes,
  use,
  useBytes,
  totalBytes,
}: Finding['figures']): Pick<Conclusion, 'confidence' | 'figures'> {
  const figures = { useBytes: useBytes ?? null, use: use ?? null, managedBytes: totalBytes ?? null };
  const isMost = use === 'anonymous' && Number(anonBytes ?? 0) >= EXPLAINS * Number(useBytes);
  if (!isMost) return { confidence: 'unknown', figures };
  const largest = { largestPid: pid ?? null, largestComm: comm ?? null };
  return { confidence: 'possible', figures: { ...figures, ...largest, bytes: anonBytes ?? null } };
}

/** Counters of memory.stat for memory that reclaim cannot free; names of version 1 follow those of version 2. */
const CHARGED: readonly (readonly [what: string, names: readonly string[]])[] = [
  [HELD.anonBytes, ['anon', 'total_rss', 'rss']],
  [HELD.sharedBytes, ['shmem', 'total_shmem']],
  [HELD.slabUnreclaimableBytes, ['slab_unreclaimable']],
  [HELD.pageTableBytes, ['pagetables']],
  [HELD.kernelStackBytes, ['kernel_stack']],
  ['socket buffers', ['sock']],
  ['vmalloc', ['vmalloc']],
];

/** The largest kind of memory of a cgroup that reached its limit, and its process. */
function byGroup({ figures, oom }: Finding): Pick<Conclusion, 'confidence' | 'figures'> {
  const { cgroup = null, limitBytes, usageBytes, largestPid, largestComm, largestRssBytes } = figures;
  const [counters = {}] = (oom?.memcgs ?? []).map(({ counters: of }) => of);
  const whole = [limitBytes, usageBytes].find((value) => typeof value === 'number');
  const known = { cgroup, managedBytes: whole ?? null };
  const held = CHARGED.flatMap(([what, names]) => {
    const bytes = names.map((name) => counters[name]).find((value) => value !== undefined);
    return bytes === undefined ? [] : [{ what, bytes }];
  });
  const [most] = held.toSorted((a, b) => b.bytes - a.bytes);
  if (!most || whole === undefined || most.bytes < EXPLAINS * whole)
    return { confidence: 'unknown', figures: { ...known, bytes: null } };
  const isHeld =
    [HELD.anonBytes, HELD.sharedBytes].includes(most.what as never) &&
    Number(largestRssBytes ?? 0) >= EXPLAINS * most.bytes;
  return {
    confidence: isHeld ? 'likely' : 'possible',
    figures: {
      ...known,
      bytes: most.bytes,
      counter: most.what,
      largestPid: isHeld ? (largestPid ?? null) : null,
      largestComm: isHeld ? (largestComm ?? null) : null,
      largestRssBytes: isHeld ? (largestRssBytes ?? null) : null,
    },
  };
}

/** Without a finding, the report's own counters show the largest kind of memory, and its process. */
function byCounters(figures: Finding['figures']): Pick<Conclusion, 'confidence' | 'figures'> {
  const { managedBytes, largestPid, largestComm, largestRssBytes, slabCache = null, slabCacheBytes = null } = figures;
  const known = { managedBytes: managedBytes ?? null };
  const { shortage, unusable, unusableFreeBytes, freeBytes } = figures;
  const isElsewhere =
    Number(unusableFreeBytes) >= Math.max(EXPLAINS * Number(freeBytes), NOTABLE * Number(managedBytes));
  if (shortage != null && isElsewhere && typeof unusableFreeBytes === 'number')
    return { confidence: 'possible', figures: { ...known, bytes: unusableFreeBytes, unusable: unusable ?? null } };
  const held = Object.entries(HELD).flatMap(([name, what]) => {
    // Shared memory is on the anonymous lists.
    const bytes = name === 'anonBytes' ? Number(figures[name]) - Number(figures.sharedBytes ?? 0) : figures[name];
    return typeof bytes === 'number' && figures[name] != null ? [{ what, bytes }] : [];
  });
  const [most] = held.toSorted((a, b) => b.bytes - a.bytes);
  if (typeof managedBytes !== 'number') return byScore(figures);
  if (!most || most.bytes < EXPLAINS * managedBytes) {
    const { unattributedBytes } = figures;
    return { confidence: 'unknown', figures: { ...known, bytes: unattributedBytes ?? null } };
  }
  if (most.what === HELD.unattributedBytes) return { confidence: 'unknown', figures: { ...known, bytes: most.bytes } };
  const isOfOne =
    most.what === HELD.anonBytes && typeof largestRssBytes === 'number' && largestRssBytes >= EXPLAINS * most.bytes;
  return {
    confidence: 'possible',
    figures: {
      ...known,
      counter: most.what,
      bytes: most.bytes,
      ...(isOfOne ? { largestPid: largestPid ?? null, largestComm: largestComm ?? null, largestRssBytes } : {}),
      ...(most.what === HELD.slabUnreclaimableBytes ? { slabCache, slabCacheBytes } : {}),
    },
  };
}

/** Scores are thousandths of memory and swap (oom_badness, mm/oom_kill.c); before 2.6.36 they are no amount. */
const MAX_SCORE = 1000;

/** A report without counters: its list of slab caches, or the score of the process that was chosen. */
function byScore({
  slabCache,
  slabCacheBytes,
  score,
  oomScoreAdj,
  chosenPid,
  chosenComm,
}: Finding['figures']): Pick<Conclusion, 'confidence' | 'figures'> {
  if (slabCache != null)
    return { confidence: 'possible', figures: { slabCache, slabCacheBytes: slabCacheBytes ?? null } };
  const isShare = typeof score === 'number' && score <= MAX_SCORE && (oomScoreAdj ?? 0) === 0;
  if (isShare && score >= EXPLAINS * MAX_SCORE)
    return {
      confidence: 'possible',
      figures: { score, largestPid: chosenPid ?? null, largestComm: chosenComm ?? null },
    };
  return { confidence: 'unknown', figures: { managedBytes: null, bytes: null } };
}
