import {
  type ChosenProcs,
  estimatedSockets,
  largestProgram,
  type ProcessSort,
} from '../../account/processes/groups.js';
import { escapeText } from '../../base/escape.js';
import { count, formatCount, formatSize, inflect } from '../../base/size.js';
import type { CgroupFigures, ProcessFigures, ProcessGroup, ProcessSizes, ProcsAnswer } from '../../contracts/procs.js';
import type { ProcessSize } from '../../records/processes.js';
import { LARGE_BYTES } from '../../records/pss.js';
import { type Shortage, shortageOf, THRESHOLDS } from '../../triage/thresholds.js';
import { share } from '../memory/words.js';
import { captureWords, killWords, shortageWords } from '../origin.js';
import { type Block, hostCommand, nextBlock, tableBlock } from '../text/blocks.js';
import type { Column } from '../text/table.js';

export interface ProcsChoice {
  /** Maximum number of rows. */
  readonly limit: number;
  readonly verbose?: boolean | undefined;
  /** Heading of the group column. */
  readonly by?: string | undefined;
}

/** The answer to `procs`: totals and the largest process, a table, its sum, and the next command. */
export function procsBlocks(chosen: ChosenProcs, choice: ProcsChoice & { readonly source: string }): Block[] {
  const next = nextCommand(chosen, choice.source);
  // A capture does not grow.
  const where = chosen.answer.captured && next === WATCH ? 'On that machine' : 'Next';
  return [procsHeadline(chosen), ...procsParts(chosen, choice), nextBlock(next, where)];
}

/** What a process with most of the memory has; if there is none, where memory is otherwise. */
function nextCommand({ answer }: ChosenProcs, source: string): string {
  const { processes, captured, kernel, total, machine } = answer;
  const queues = largestBy(processes, ({ networkPinnedBytes }) => networkPinnedBytes);
  if (queues && (queues.networkPinnedBytes ?? 0) >= MUCH_IN_SOCKETS)
    return hostCommand(`${kernel ? 'skb' : 'skcheck'} --pid ${queues.pid}`, source);
  const most = largestBy(processes, ({ freedIfKilledBytes, rssBytes }) => freedIfKilledBytes ?? rssBytes);
  const amount = most?.freedIfKilledBytes ?? most?.rssBytes ?? 0;
  const all = total.pssBytes === null ? (total.rssBytes ?? 0) : total.pssBytes + total.withoutPss.rssBytes;
  // A capture has no mappings.
  if (most && !captured && amount >= MUCH && amount * 2 >= all) {
    // Its mappings would be read from smaps, which blocks a large process.
    const blocks = source === '--live' && Math.max(most.rssBytes ?? 0, most.swapBytes ?? 0) > LARGE_BYTES;
    return hostCommand(blocks ? 'procs --watch' : `procs --pid ${most.pid}`, source);
  }
  // Nothing is short now: the question is what grows.
  const isHost = source === '--live' || captured !== null;
  if (!isHost || shortage(machine) !== 'not short') return hostCommand('memory', source);
  if (chargedWords(answer) !== '') return hostCommand('procs --sockets', source);
  if (killWords(answer.origin) === '') return WATCH;
  return captured ? hostCommand('triage', source) : 'kdump-mem triage';
}

const WATCH = 'kdump-mem watch';

/** A smaller process explains no shortage. */
const MUCH = 256 << 20;

/** Returns tables and sentences, without the headline. */
export function procsParts(chosen: ChosenProcs, { limit, verbose = false, by = 'group' }: ProcsChoice): Block[] {
  const { answer } = chosen;
  const { processes, groups } = answer;
  const rows = groups ?? processes;
  const more = rows.length - limit;
  return [
    groups
      ? tableBlock(`Processes by ${by}`, groupColumns(by, groups), groups.slice(0, limit))
      : tableBlock('Processes', columnsOf(chosen, verbose), processes.slice(0, limit)),
    ...cgroupBlocks(answer, limit),
    ...(more > 0 ? [`${formatCount(more)} more rows: --limit N lists them.`] : []),
    ...heldWords(answer, verbose),
    ...(groups ? [groupWords(groups)] : []),
    ...(verbose ? [totalWords(chosen), ...othersWords(answer)] : []),
    ...unmappedWords(answer, verbose),
  ];
}

export function procsHeadline(chosen: ChosenProcs): string {
  const { answer, hidden } = chosen;
  const { processes, captured, total } = answer;
  const { pssBytes, rssBytes, swapBytes, networkPinnedBytes } = total;
  const kills = killWords(answer.origin);
  const from = `${kills && ` ${kills}`}${captured ? ` As ${captureWords(captured)}.` : ''}`;
  if (pssBytes === null && rssBytes !== null)
    return withAvailable(
      answer,
      `${residentWords(processes, rssBytes)}${mostWords(chosen)}${chargedWords(answer)}`,
      from,
    );
  const { processes: unread, rssBytes: unreadRss } = total.withoutPss;
  const isPartial = processes.some((process) => process.pssBytes !== null && !process.complete);
  const least = (total.complete || (unread > 0 && !isPartial)) && !hidden ? '' : 'at least ';
  const about = total.networkEstimated ? 'about ' : '';
  const sockets = networkPinnedBytes ? `, plus ${about}${formatSize(networkPinnedBytes)} in socket queues` : '';
  const memory = `${least}${known(pssBytes)} of memory (PSS)${sockets}`;
  const tables = total.pageTableBytes ?? 0;
  // A smaller share is left to its column.
  const isMuch = tables > 0 && tables >= THRESHOLDS['page-tables'].warning * ((pssBytes ?? 0) + unreadRss);
  const more = [
    ...(swapBytes ? [`${formatSize(swapBytes)} of swap`] : []),
    ...(isMuch ? [`${formatSize(tables)} of page tables`] : []),
  ].join(' and ');
  const used =
    unread === 0
      ? `${useWords('', processes.length)} ${memory}${more && `, with ${more}`}.`
      : `The PSS of ${countWords(unread)} (RSS ${formatSize(unreadRss)}) is not known; ${useWords('the other ', processes.length - unread)} ${memory}.${more && ` Together they have ${more}.`}`;
  const words = `${visibleWords(chosen)}${socketsOfOne(answer)}${mostHeldWords(processes)} ${used}${mostWords(chosen)}${zombieWords(answer)}${chargedWords(answer)}`;
  return withAvailable(answer, words.trim(), from);
}

/** Whether memory is short comes before the largest process, which need not be a problem. */
function withAvailable({ machine, source, captured }: ProcsAnswer, words: string, from: string): string {
  const { totalBytes = null, availableBytes = null, freeBytes } = machine ?? {};
  const left = availableBytes ?? freeBytes;
  if (totalBytes === null || left === undefined) return `${words}${from}`;
  const amount = `${formatSize(left)} of ${formatSize(totalBytes)} ${availableBytes === null ? 'is free' : '(MemTotal) is available (free or reclaimable)'}.`;
  const short = shortage(machine);
  return short === null
    ? `${words} ${amount}${from}`
    : `${shortageWords(short, source === 'vmcore' ? 'dump' : captured ? 'capture' : undefined)}: ${amount} ${words}${from}`;
}

/** Whether enough memory is available or, in a dump, free; null: unknown. */
function shortage(machine: ProcsAnswer['machine']): Shortage {
  const { totalBytes, availableBytes, freeBytes, reclaimableBytes } = machine ?? {};
  const left = availableBytes ?? freeBytes;
  if (totalBytes == null || left == null) return null;
  const reclaimable = availableBytes == null ? (reclaimableBytes ?? null) : 0;
  return shortageOf(totalBytes, left, reclaimable === null ? null : left + reclaimable);
}

const countWords = (processes: number): string => count(processes, 'process', 'processes');

const useWords = (which: string, count: number): string =>
  `${which}${which !== '' && count === 1 ? 'process' : countWords(count)} ${inflect(count, 'uses', 'use')}`;

/** A few zombies are normal. */
const MANY_ZOMBIES = 10;

/** Names the process that has not waited for most zombies. */
function zombieWords({ zombieParents }: ProcsAnswer): string {
  const [most] = zombieParents ?? [];
  if (!most || most.zombies < MANY_ZOMBIES) return '';
  const name = most.comm === null ? '' : ` (${escapeText(most.comm)})`;
  return ` Most zombies: ${formatCount(most.zombies)} children of pid ${most.pid}${name}.`;
}

/** Sizes that add up, and are small on a healthy machine. */
const SUMMED: Partial<Record<ProcessSort, string>> = { pageTableBytes: 'page tables', threads: 'threads' };

/** Reports the program with the most of what the list is sorted by. */
function mostWords({ answer, sort }: ChosenProcs): string {
  const words = SUMMED[sort];
  const most = words && largestProgram(answer.processes.map((process) => ({ ...process, amount: process[sort] ?? 0 })));
  if (!most) return '';
  const { pid, comm, processes: count, amount } = most;
  const name = escapeText(comm ?? 'name unknown');
  const who = count > 1 ? `${formatCount(count)} processes named ${name}` : `pid ${pid} (${name})`;
  return ` Most ${words}: ${who}, ${sort === 'threads' ? formatCount(amount) : formatSize(amount)}.`;
}

/**
 * Names the process that holds most alone, regardless of the order of the list, or a larger one whose figure is
 * unknown.
 */
function mostHeldWords(processes: readonly ProcessFigures[]): string {
  const most = largestBy(processes, ownBytes);
  if (most === undefined) return '';
  const unknown = processes.filter(({ freedIfKilledBytes }) => freedIfKilledBytes === null);
  const larger = largestBy(unknown, ({ rssBytes }) => rssBytes);
  if ((larger?.rssBytes ?? 0) <= (ownBytes(most) ?? 0))
    return `Largest process: ${processName(most)}, ${ownAmount(most)}${inSockets(most)}${secondWords(processes, most)}.`;
  const how = larger!.pssUnknown === 'large' ? ': PSS of large processes is not read, since reading blocks them' : '';
  return `Largest by RSS: ${processName(larger!)}, ${known(larger!.rssBytes)} (some of it may be shared${how}).`;
}

/** How much of its memory is in socket queues, if that is most of it: SOCKETS also counts queues that others share. */
function inSockets(process: ProcessFigures): string {
  const own = ownBytes(process) ?? 0;
  const queues = own - besideSockets(process);
  return queues * 2 > own ? `, ${formatSize(queues)} of it in socket queues` : '';
}

/** The memory of a process alone, sockets included; null: unknown. */
const ownBytes = (process: ProcessFigures): number | null =>
  process.freedIfKilledBytes === null ? null : process.freedIfKilledBytes + estimatedSockets(process);

const ownAmount = (process: ProcessFigures): string =>
  `${estimatedSockets(process) > 0 ? '~' : ''}${known(ownBytes(process))}`;

/** What a kill frees besides socket queues. */
const besideSockets = (of: Pick<ProcessFigures, 'ussBytes' | 'pageTableBytes' | 'swapBytes'>): number =>
  (of.ussBytes ?? 0) + (of.pageTableBytes ?? 0) + (of.swapBytes ?? 0);

/** The process that holds second most, if it is at least a third of the first. */
function secondWords(processes: readonly ProcessFigures[], most: ProcessFigures): string {
  const others = processes.filter((process) => process !== most);
  const second = largestBy(others, ownBytes);
  const own = (second && ownBytes(second)) ?? 0;
  return second && own > 0 && own * 3 >= (ownBytes(most) ?? 0)
    ? `; then ${processName(second)}, ${ownAmount(second)}`
    : '';
}

/** Sockets of a process that pin more are a finding of triage. */
const MUCH_IN_SOCKETS = THRESHOLDS['queued-data'].leastBytes;

/** Names the process with much memory in socket queues, which neither RSS nor PSS shows. */
function socketsOfOne({ processes, machine }: ProcsAnswer): string {
  const most = largestBy(processes, ({ networkPinnedBytes }) => networkPinnedBytes);
  const { networkPinnedBytes, pssBytes: pss = null, networkEstimate } = most ?? {};
  const network = networkPinnedBytes ?? 0;
  if (!most || network < MUCH_IN_SOCKETS) return '';
  const about = networkEstimate ? 'about ' : '';
  const total = machine?.totalBytes ?? 0;
  const isLittle = shortage(machine) === 'not short' && network < THRESHOLDS['queued-data'].warning * total;
  const part = isLittle ? ` (${share(network, total)} of memory)` : '';
  return `Unusual${isLittle ? ', but not urgent' : ', so check it first'}: sockets of ${processName(most)} pin ${about}${known(network)}${part}; PSS (${known(pss)}) does not include that. `;
}

/** Less in the sockets of all processes is usual. */
const MUCH_CHARGED = 0.01;

/** Says without --sockets that sockets have much memory, which no row contains. */
function chargedWords({ machine, total }: ProcsAnswer): string {
  const { chargedSocketBytes: charged = 0, totalBytes = null } = machine ?? {};
  if (total.networkPinnedBytes !== null || totalBytes === null) return '';
  if (charged < MUCH_IN_SOCKETS || charged < MUCH_CHARGED * totalBytes) return '';
  return ` TCP and UDP sockets of the machine are charged with ${formatSize(charged)}, which no row includes: --sockets estimates those of the listed processes.`;
}

/** Kernel threads are visible in the initial pid namespace only. */
function visibleWords({ answer, hidden }: ChosenProcs): string {
  const { kernel, captured, kernelThreads, processes } = answer;
  if (kernel || captured || hidden || kernelThreads > 0 || processes.length === 0) return '';
  return 'Only processes of this container (pid namespace) are visible. ';
}

function largestBy(
  processes: readonly ProcessFigures[],
  of: (process: ProcessFigures) => number | null,
): ProcessFigures | undefined {
  let largest: ProcessFigures | undefined;
  for (const process of processes) {
    const size = of(process);
    if (size !== null && (largest === undefined || size > (of(largest) ?? -1))) largest = process;
  }
  return largest;
}

/** Returns the headline if PSS is unknown; it uses RSS, as ps does. */
function residentWords(processes: readonly ProcessFigures[], rss: number): string {
  const first = largestBy(processes, ({ rssBytes }) => rssBytes);
  const largest = first ? ` The largest is ${processName(first)}, ${known(first.rssBytes)}.` : '';
  return `${count(processes.length, 'process', 'processes')}: RSS adds up to ${known(rss)}, with shared pages counted once per process. PSS is not available.${largest}`;
}

function totalWords({ answer: { total }, hidden }: ChosenProcs): string {
  const { ussBytes, pssBytes, rssBytes, swapBytes, networkPinnedBytes } = total;
  const part = total.complete && !hidden ? '' : ' of all readable figures';
  const { processes: unread, rssBytes: unreadRss } = total.withoutPss;
  const lacking = unread === 0 ? '' : ` (without ${countWords(unread)}, RSS ${formatSize(unreadRss)})`;
  const sockets =
    networkPinnedBytes === null
      ? ''
      : `, sockets of these processes ${total.networkEstimated ? '~' : ''}${formatSize(networkPinnedBytes)}`;
  return `Total${part}: USS ${known(ussBytes)}, PSS ${known(pssBytes)}${lacking}, RSS ${known(rssBytes)} (RSS counts shared pages in every process), swap ${known(swapBytes)}${sockets}.`;
}

function othersWords({ kernelThreads, zombies, exited }: ProcsAnswer): string[] {
  const others = [
    ...(kernelThreads > 0 ? [count(kernelThreads, 'kernel thread')] : []),
    ...(zombies > 0 ? [count(zombies, 'zombie')] : []),
    ...(exited > 0 ? [`${count(exited, 'process', 'processes')} that exited during the scan`] : []),
  ];
  return others.length === 0 ? [] : [`Not listed (no memory of their own): ${others.join(', ')}.`];
}

/** Share of what processes use from which memory that no process maps is mentioned without -v. */
const NOTABLE = 0.05;

/** Reports memory that no process maps, of kinds that processes usually map. */
function unmappedWords({ pages, total }: ProcsAnswer, verbose: boolean): string[] {
  if (!pages) return [];
  const { pageCache, shared, anonymous, swapCache } = pages;
  const unmapped = shared.unmappedBytes + anonymous.unmappedBytes + swapCache.unmappedBytes;
  if (!verbose && unmapped < NOTABLE * (total.pssBytes ?? 0)) return [];
  const kinds = [
    `page cache ${formatSize(pageCache.unmappedBytes)}`,
    ...(shared.unmappedBytes > 0 ? [`shared memory ${formatSize(shared.unmappedBytes)}`] : []),
    ...(anonymous.unmappedBytes + swapCache.unmappedBytes > 0
      ? [`anonymous ${formatSize(anonymous.unmappedBytes + swapCache.unmappedBytes)}`]
      : []),
  ];
  return [`Not mapped by any process: ${kinds.join(', ')}.`];
}

/** Says what the first figure consists of, and what no figure of a live process does. */
function heldWords({ total, pages, captured, processes, groups }: ProcsAnswer, verbose: boolean): string[] {
  if (total.freedIfKilledBytes === null) return [];
  const network = total.networkPinnedBytes;
  const lists = captured ? '' : ' (memory --live lists them)';
  const kill = verbose
    ? ` A kill frees at least that${pages ? '' : `, its sockets, and memfds that only the process has open${lists}`}; unread data of its sockets is lost.`
    : '';
  const parts = `USS, swap, page tables${groups ? '' : ' (TABLES)'}`;
  if (pages && network !== null) {
    const more = processes.some(hasMore)
      ? ', also sockets in messages that it has not read and in rings of io_uring'
      : '';
    return [
      `OWN MEMORY: ${parts}, and the queues of sockets that no other process has open${more}. SOCKETS: the queues of all its sockets, also of those that other processes have open.${kill}`,
    ];
  }
  const files = `files in tmpfs that the process only has open${lists}`;
  if (network !== null && !groups)
    return [`OWN MEMORY: the sum of ${parts}, and SOCKETS (~: estimated). Not included: ${files}.${kill}`];
  const sockets = pages
    ? ''
    : network === null
      ? `. Not included: sockets (--sockets estimates them), and ${files}`
      : `. Not included: SOCKETS, and ${files}`;
  return [`OWN MEMORY: the sum of ${parts}${sockets}.${kill}`];
}

/** Whether a kill frees more than the columns show. */
const hasMore = ({ freedIfKilledBytes: own, ...of }: ProcessFigures): boolean =>
  own !== null && own > besideSockets(of) + (of.networkPinnedBytes ?? 0);

function processName({ pid, comm }: ProcessFigures): string {
  return `pid ${pid} (${escapeText(comm)})`;
}

function known(bytes: number | null): string {
  return bytes === null ? '?' : formatSize(bytes);
}

function sizeColumn<Row extends ProcessSizes>(heading: string, size: ProcessSize, spare?: number): Column<Row> {
  const column = { heading, align: 'right', value: (row: Row) => known(row[size]) } as const;
  return spare === undefined ? column : { ...column, spare };
}

function columnsOf({ answer, sort }: ChosenProcs, verbose: boolean): Column<ProcessFigures>[] {
  const { processes } = answer;
  const any = (size: ProcessSize) => processes.some((process) => (process[size] ?? 0) > 0);
  const withSockets = processes.some(({ networkEstimate }) => networkEstimate);
  return [
    { heading: 'PID', align: 'right', value: ({ pid }) => String(pid) },
    {
      ...sizeColumn<ProcessFigures>('OWN MEMORY', 'freedIfKilledBytes'),
      value: (process) => ownWords(process, withSockets),
    },
    readColumn('USS', 'ussBytes', 1),
    sizeColumn('TABLES', 'pageTableBytes', 4),
    readColumn('PSS', 'pssBytes', 3),
    sizeColumn('RSS', 'rssBytes', 2),
    ...(any('swapBytes') ? [sizeColumn<ProcessFigures>('SWAP', 'swapBytes', 1)] : []),
    ...(any('networkPinnedBytes') || withSockets ? [socketsColumn] : []),
    ...(any('hugetlbBytes') ? [sizeColumn<ProcessFigures>('HUGETLB', 'hugetlbBytes', 1)] : []),
    ...(processes.some(({ zeroHugeBytes }) => zeroHugeBytes !== undefined) ? [zeroHugeColumn] : []),
    ...DETAILS.filter(([size]) => verbose || size === sort).map(([, column]) => column),
    { heading: 'COMMAND', value: commandOf },
    ...cgroupColumn(processes, (process) => process),
  ];
}

/** The memory of a process alone, or a bound of it. @param withSockets whether those of others are known */
function ownWords(process: ProcessFigures, withSockets: boolean): string {
  const { freedIfKilledBytes, rssBytes, swapBytes, pageTableBytes } = process;
  const lacksSockets = withSockets && process.networkPinnedBytes === null;
  if (freedIfKilledBytes !== null) return `${lacksSockets ? '≥ ' : ''}${ownAmount(process)}`;
  if (rssBytes === null || swapBytes === null || pageTableBytes === null || lacksSockets) return known(null);
  const about = estimatedSockets(process) > 0 ? '~' : '';
  return `≤ ${about}${formatSize(rssBytes + swapBytes + pageTableBytes + estimatedSockets(process))}`;
}

/** A size that is not read of large processes. */
function readColumn(heading: string, size: 'ussBytes' | 'pssBytes', spare: number): Column<ProcessFigures> {
  const value = (row: ProcessFigures) => (row.pssUnknown === 'large' ? 'not read' : known(row[size]));
  return { ...sizeColumn<ProcessFigures>(heading, size, spare), value };
}

/** Columns of --verbose, and of the size that the list is sorted by. */
const DETAILS: readonly (readonly [ProcessSort, Column<ProcessFigures>])[] = [
  ['anonBytes', sizeColumn('ANON', 'anonBytes', 5)],
  ['fileBytes', sizeColumn('FILE', 'fileBytes', 6)],
  ['shmemBytes', sizeColumn('SHMEM', 'shmemBytes', 6)],
  ['lockedBytes', sizeColumn('LOCKED', 'lockedBytes', 7)],
  ['pinnedBytes', sizeColumn('PINNED', 'pinnedBytes', 7)],
  ['threads', numberColumn('THREADS', ({ threads }) => threads)],
  ['ageSeconds', numberColumn('AGE S', ({ ageSeconds }) => ageSeconds)],
  ['oomScore', numberColumn('OOM', ({ oomScore }) => oomScore)],
  ['oomScoreAdj', numberColumn('OOM ADJ', ({ oomScoreAdj }) => oomScoreAdj)],
];

const zeroHugeColumn: Column<ProcessFigures> = {
  heading: 'ZERO HUGE',
  align: 'right',
  spare: 1,
  value: ({ zeroHugeBytes = null }) => known(zeroHugeBytes),
};

const socketsColumn: Column<ProcessFigures> = {
  ...sizeColumn<ProcessFigures>('SOCKETS', 'networkPinnedBytes', 1),
  value: ({ networkPinnedBytes, networkEstimate }) =>
    `${networkEstimate && networkPinnedBytes ? '~' : ''}${known(networkPinnedBytes)}`,
};

function numberColumn(heading: string, of: (process: ProcessFigures) => number | null): Column<ProcessFigures> {
  return { heading, align: 'right', value: (row) => String(of(row) ?? '?'), spare: 8 };
}

function commandOf({ comm, sharedWith }: ProcessFigures): string {
  const others = sharedWith.length === 0 ? '' : ` (shared with pid ${sharedWith.join(', ')})`;
  return `${escapeText(comm)}${others}`;
}

/** Returns the column of a sum, which is a lower bound if some figures are missing. */
function sumColumn(heading: string, size: ProcessSize, spare?: number): Column<ProcessGroup> {
  const column = sizeColumn<ProcessGroup>(heading, size, spare);
  const value = (group: ProcessGroup) => {
    const least = group[size] !== null && group.partialSizes?.includes(size) ? '≥ ' : '';
    const about = size === 'networkPinnedBytes' && group.networkEstimated && group.networkPinnedBytes ? '~' : '';
    return `${least}${about}${known(group[size])}`;
  };
  return { ...column, value };
}

function groupColumns(by: string, groups: readonly ProcessGroup[]): readonly Column<ProcessGroup>[] {
  // Where PSS is unknown, RSS is all that shows the size.
  const hasUnknown = groups.some(({ withoutPss }) => withoutPss.processes > 0);
  return [
    {
      heading: by.toUpperCase(),
      value: ({ key }) => (key === null ? '(none)' : escapeText(key)),
      shrinks: { keeps: 'ends', least: 12 },
    },
    { heading: 'PROCESSES', align: 'right', value: ({ processes }) => formatCount(processes) },
    sumColumn('OWN MEMORY', 'freedIfKilledBytes'),
    {
      heading: 'AT MOST',
      align: 'right',
      value: ({ freedIfKilledMostBytes }) => known(freedIfKilledMostBytes),
      spare: 3,
    },
    sumColumn('USS', 'ussBytes'),
    sumColumn('PSS', 'pssBytes'),
    ...(hasUnknown ? [sumColumn('RSS', 'rssBytes')] : []),
    sumColumn('SWAP', 'swapBytes', 1),
    ...(groups.some(({ networkPinnedBytes }) => networkPinnedBytes !== null)
      ? [sumColumn('SOCKETS', 'networkPinnedBytes', 2)]
      : []),
  ];
}

/** What the signs in a table of groups mean. */
function groupWords(groups: readonly ProcessGroup[]): string {
  const isPartial = groups.some(({ complete }) => !complete);
  return `AT MOST: the most that the end of the whole group frees.${isPartial ? ' ≥: at least, and ?: unknown, because a size of one of its processes was not read.' : ''}`;
}

interface CgroupRow extends CgroupFigures {
  readonly path: string;
}

function limitWords({ limitBytes, limitKnown }: CgroupRow): string {
  if (limitBytes === null) return limitKnown ? 'none' : '?';
  return `${limitKnown ? '' : '≤ '}${formatSize(limitBytes)}`;
}

/** Memory that the kernel charges to each cgroup: also for what no process maps. */
function cgroupBlocks({ groups = [] }: ProcsAnswer, limit: number): Block[] {
  const rows = groups
    .slice(0, limit)
    .flatMap(({ key, cgroup }): CgroupRow[] => (key !== null && cgroup ? [{ path: key, ...cgroup }] : []));
  if (rows.length === 0) return [];
  const column = (heading: string, of: (row: CgroupRow) => string, spare?: number) =>
    ({ heading, align: 'right', value: of, ...(spare === undefined ? {} : { spare }) }) as const;
  const heading = 'Charged to each cgroup and those below it, with the smallest limit of it and those above it:';
  return [
    heading,
    tableBlock<CgroupRow>(
      'Memory charged to cgroups',
      [
        { heading: 'CGROUP', value: ({ path }) => escapeText(path), shrinks: { keeps: 'ends', least: 12 } },
        column('USED', ({ currentBytes }) => formatSize(currentBytes)),
        column('LIMIT', limitWords),
        column('RECLAIMABLE', ({ reclaimableBytes }) => known(reclaimableBytes), 2),
        column('ANON', ({ anonBytes }) => known(anonBytes), 3),
        column('FILE', ({ fileBytes }) => known(fileBytes), 3),
        column('ACTIVE FILE', ({ activeFileBytes }) => known(activeFileBytes), 4),
        column('SHMEM', ({ shmemBytes }) => known(shmemBytes), 5),
        column('KERNEL', ({ kernelBytes }) => known(kernelBytes), 4),
        column('SOCK', ({ sockBytes }) => known(sockBytes), 6),
        column('PEAK', ({ peakBytes }) => known(peakBytes), 7),
        column('OOM KILLS', ({ oomKills }) => String(oomKills ?? '?'), 1),
        column('STALLED', ({ pressureFull }) => (pressureFull ? `${pressureFull.avg60} %` : '?'), 6),
      ],
      rows,
    ),
    'OOM KILLS: in it and below it, also in cgroups that are gone (in itself alone where the kernel counts so: version 1, or before 5.2). STALLED: part of the last minute in which none of its tasks could run, because they waited for memory. ?: not counted.',
  ];
}

/** Pod, container or cgroup of processes; no column if none is in any. */
export function cgroupColumn<Row>(
  rows: readonly Row[],
  of: (row: Row) => Parameters<typeof whereOf>[0],
): Column<Row>[] {
  if (rows.every((row) => whereOf(of(row)) === '')) return [];
  return [{ heading: 'CGROUP', value: (row) => whereOf(of(row)), shrinks: { keeps: 'ends', least: 12 }, spare: 4 }];
}

/** Returns the pod, container or cgroup of a process, and its pid there. */
function whereOf({
  cgroup,
  pod,
  container,
  nsPids,
}: Pick<ProcessFigures, 'cgroup' | 'pod' | 'container' | 'nsPids'>): string {
  const own = nsPids.length > 1 ? ` (pid ${nsPids.at(-1)} inside)` : '';
  if (pod) return `pod ${escapeText(pod)}${own}`;
  if (container) return `container ${escapeText(container.slice(0, 12))}${own}`;
  return `${cgroup === null || cgroup === '/' ? '' : escapeText(cgroup)}${own}`.trim();
}
