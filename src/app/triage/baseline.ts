import { statSync } from 'node:fs';
import type { MemoryAnswer, ProgramPipes } from '../../account/memory/answer.js';
import { HostError } from '../../base/errors.js';
import type { Origin } from '../../contracts/common.js';
import type { CategoryMeasure, CategoryState, HostState } from '../../diff/state.js';
import { inOrder } from '../../diff/times.js';
import type { WatchSample } from '../../growth/watch/answer.js';
import { startTicks } from '../../host/proc/process.js';
import { USER_HZ } from '../../records/processes.js';
import { type Finding, found, severityOf } from '../../triage/finding.js';
import { commIn, pipesByProgram, processesOf } from '../../triage/host-processes.js';
import type { HostReader, ProcessStatus } from '../../triage/host-reader.js';
import { THRESHOLDS } from '../../triage/thresholds.js';
import { Warnings } from '../../walk/warnings.js';

/** Categories of processes, whose growth is often intended: a note. How the growth of one is measured. */
const MEASURES: Readonly<
  Record<string, { before: CategoryMeasure; now: (of: ProcessStatus) => number; sort: string }>
> = {
  anonymous: { before: 'rssAnon', now: ({ rssAnonBytes }) => rssAnonBytes, sort: 'anon' },
  shared: { before: 'rssShmem', now: ({ shmemBytes }) => shmemBytes, sort: 'shmem' },
  'page-tables': { before: 'pageTables', now: ({ tableBytes }) => tableBytes, sort: 'page-tables' },
};

/**
 * Findings from the changes since a baseline: growth of memory that cannot be reclaimed, another boot, and steps
 * of the clock.
 *
 * @throws {HostError} they cannot be compared
 */
export function changesSince(
  before: HostState,
  origin: Origin,
  { source, memory, caches }: Pick<MemoryAnswer, 'source' | 'memory' | 'caches'>,
  reader: HostReader,
): Finding[] {
  const why = (words: string) => new HostError('unreadable', `${before.name}: ${words}`);
  const { sameBoot, notes } = inOrder([before, { ...before, origin, release: null }]);
  if (notes.some(({ code }) => code === 'different-hosts')) throw why('the baseline is of another host');
  const { at: began, bootId, uptimeSeconds: first } = before.origin;
  const uptime = (origin.uptimeSeconds ?? 0) - (first ?? Infinity);
  const wall = began && origin.at ? (Date.parse(origin.at) - Date.parse(began)) / 1000 : null;
  // Memory starts anew with each boot. An uptime that runs on may be of the same boot, on a clock that was set.
  if (sameBoot === false) {
    const hasIds = bootId !== null && origin.bootId !== null;
    if (uptime >= 0 && !hasIds) throw why('the boot of the baseline is unknown');
    if (uptime >= 0 && wall !== null && Math.abs(wall - uptime) <= THRESHOLDS['clock-step'].note)
      throw why('its boot id contradicts its uptime and time');
    return [found('rebooted', 'note', { uptimeSeconds: origin.uptimeSeconds }, 'memory')];
  }
  if (sameBoot === null || first === null || origin.uptimeSeconds === null)
    throw why('the boot of the baseline is unknown');
  if (uptime <= 0) throw why('the baseline is not older');
  if (before.memory?.depth !== source)
    throw why(`its categories are from ${before.memory?.depth ?? 'nowhere'}, not from ${source}`);
  const step = (wall ?? uptime) - uptime;
  const [stepSeconds, seconds] = [step, uptime].map(Math.round);
  const clock = found('clock-step', 'note', { stepSeconds: stepSeconds!, seconds: seconds! });
  const [then, now] = [before.memory.tree, memory].map((tree) => new Map(leavesOf(tree)));
  // The kernel cannot reclaim its own memory: it grows in a leak.
  const ofKernel = memory.children.filter(({ category }) => category === 'kernel').flatMap(leavesOf);
  const names = ofKernel.map(([name]) => name).filter((name) => name !== 'slab-reclaimable');
  const growth = [...new Set([...names, ...Object.keys(MEASURES)])].flatMap((category) => {
    const [beforeBytes, bytes = 0] = [then?.get(category), now?.get(category)];
    const { leastBytes, note } = THRESHOLDS['memory-growth'];
    const least = Math.max(leastBytes, note * memory.bytes);
    // A store leaves out unknown categories.
    if (bytes < least) return [];
    if (beforeBytes === undefined) throw why(`${category} is not in the breakdown of the baseline`);
    const grownBytes = bytes - beforeBytes;
    if (grownBytes < least) return [];
    const isNote = category in MEASURES || severityOf(grownBytes, memory.bytes) === undefined;
    const owner = ownerOf(category, grownBytes, before, caches, reader);
    const figures = {
      category,
      grownBytes,
      beforeBytes,
      bytes,
      share: grownBytes / memory.bytes,
      ...owner,
      ...(category === 'shared' && owner.ownerBytes === null ? unmappedOf(reader, grownBytes) : {}),
      ...(category === 'unattributed' ? pipesOf(reader, grownBytes) : {}),
      seconds: seconds!,
    };
    return [found('memory-growth', isNote ? 'note' : 'warning', figures, nextOf(category, figures))];
  });
  return Math.abs(step) > THRESHOLDS['clock-step'].note ? [clock, ...growth] : growth;
}

/** The command that shows the owner of a growth, or else its category. */
function nextOf(category: string, { ownerBytes, pid }: Pick<Grown, 'ownerBytes' | 'pid'>): string {
  const sort = pid === null || ownerBytes === null ? undefined : MEASURES[category]?.sort;
  return sort === undefined ? 'memory -v' : `procs --sort ${sort}`;
}

/** The largest owner of shared memory that no process maps; its size before is unknown. Nothing: none is large enough. */
function unmappedOf({ unmapped: [largest] }: HostReader, grownBytes: number) {
  if (!largest || largest.bytes < OWNER_SHARE * grownBytes) return {};
  const { name, bytes, comm, pid = null, inside = null } = largest;
  return { pid: pid ?? inside, comm, file: name, fileBytes: bytes };
}

/** The program whose pipes can hold at least half of memory in no counter; nothing: none, or unknown. */
function pipesOf(reader: HostReader, grownBytes: number): Partial<ProgramPipes> {
  if (!reader.source.file) return {};
  try {
    return pipesByProgram(reader, grownBytes / 2)[0] ?? {};
  } catch (error) {
    reader.miss('baseline', 'pipes that hold the growth', error);
    return {};
  }
}

/** Minimum share of the growth of a named owner, and where owners may be missing: it is the largest even so. */
const [OWNER_SHARE, SURE_SHARE] = [0.25, 0.5];

interface Grown {
  readonly pid: number | null;
  readonly comm: string | null;
  readonly cache: string | null;
  /** 1: the process started since the baseline. */
  readonly isNew?: number;
  /** Growth of this owner. */
  readonly ownerBytes: number | null;
}

/** The process or slab cache that grew most, by the same measure at both times; nulls: none is known. */
function ownerOf(
  category: string,
  grownBytes: number,
  { lists, origin }: HostState,
  caches: MemoryAnswer['caches'],
  reader: HostReader,
): Grown {
  const none: Grown = { pid: null, comm: null, cache: null, ownerBytes: null };
  const grown: Grown[] = [];
  if (category === 'slab-unreclaimable' && lists.caches)
    for (const { name, reclaimable, bytes } of caches) {
      // A cache without slabs is not listed.
      const before = lists.caches.items.get(name)?.sizes.bytes ?? 0;
      if (!reclaimable) grown.push({ ...none, cache: name, ownerBytes: bytes - before });
    }
  const measure = MEASURES[category];
  const share = (measure ? lists.processes : lists.caches)?.whole ? OWNER_SHARE : SURE_SHARE;
  for (const process of measure ? processesOf(reader, 'baseline') : []) {
    const [{ pid }, bytes] = [process, measure!.now(process)];
    if (bytes < share * grownBytes) continue;
    const ticks = startTicks(reader.source, pid);
    const item = lists.processes?.items.get(`${pid} ${ticks}`);
    const isNew = ticks !== null && Number(ticks) / USER_HZ > (origin.uptimeSeconds ?? Infinity);
    const before = item ? item.sizes[measure!.before] : isNew ? 0 : null;
    const state = isNew ? { isNew: 1 } : {};
    if (before != null) grown.push({ ...none, ...state, pid, comm: commIn(reader)(pid), ownerBytes: bytes - before });
  }
  const [most] = grown.toSorted((a, b) => b.ownerBytes! - a.ownerBytes!);
  return most && most.ownerBytes! >= share * grownBytes ? most : none;
}

function leavesOf({ category, bytes, children, isUnknown }: CategoryState): [string, number][] {
  return isUnknown ? [] : children.length === 0 ? [[category, bytes]] : children.flatMap(leavesOf);
}

/** A store begins with a sample. */
const STORE = /^\{\s*"schema":\s*"kdump-mem\.watch-sample\//;

/**
 * Reads a baseline: what `diff` reads, or the first sample of a store of `watch` that is of this boot.
 *
 * @throws {HostError} it cannot be read, or contains no memory breakdown
 */
export async function readBaseline(path: string, { bootId }: Origin): Promise<HostState> {
  const { headOf, readInput } = await import('../diff/inputs.js');
  if (!statSync(path, { throwIfNoEntry: false })?.isFile() || !STORE.test(`${headOf(path)}`)) return readInput(path);
  const { readStore } = await import('../watch/run.js');
  let first: WatchSample | undefined;
  readStore(path, new Warnings(), (sample) => {
    const isOfThisBoot = first && [null, bootId].includes(first.look.machine.bootId);
    if (sample.ledger && !isOfThisBoot) first = sample;
  });
  if (!first?.ledger) throw new HostError('unreadable', `${path}: no sample has a memory breakdown`);
  return stateOfSample(path, first.look, first.ledger);
}

function stateOfSample(
  name: string,
  { machine: { at, host, bootId, uptimeSeconds } }: WatchSample['look'],
  { source, categories }: NonNullable<WatchSample['ledger']>,
): HostState {
  const children = [...categories].map(([category, bytes]) => ({ category, bytes, children: [] }));
  const bytes = children.reduce((sum, child) => sum + child.bytes, 0);
  return {
    name,
    release: null,
    pageSize: null,
    flaws: [],
    origin: { at, host, bootId, uptimeSeconds },
    memory: { depth: source, drift: 0, tree: { category: 'memory', bytes, children } },
    // Samples lack anonymous memory of a process by itself: only one that started since can be the owner.
    lists: {},
  };
}
