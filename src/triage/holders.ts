import type { MemoryAnswer } from '../account/memory/answer.js';
import { leaves, type Owner } from '../account/memory/tree.js';
import { HostError } from '../base/errors.js';
import { grouped } from '../base/util.js';
import { listedPids, optionalText } from '../host/proc/process.js';
import type { Finding } from './finding.js';
import { commIn, readProcesses } from './host-processes.js';
import type { HostReader, ProcessStatus, ResidentProcess } from './host-reader.js';

/** A holder of memory. Names are untrusted. */
export interface Holder {
  /** `program`: processes of one name together. `unmapped`: memory that no process maps. `pipes`: an upper bound. */
  readonly kind: Owner['kind'] | 'program' | 'cgroup' | 'unmapped' | 'pipes';
  readonly name: string;
  readonly pid: number | null;
  /** Number of processes of a program or of those that have the pipes; null: neither. */
  readonly processes: number | null;
  readonly bytes: number;
}

/** The largest holders of memory, found or not. */
export interface Holders {
  readonly largest: readonly Holder[];
  /** Number of processes that could not be read, or only in part: any of them may hold more. */
  readonly unreadProcesses: number;
  /** /proc does not list all processes: their number is unknown, and any of them may hold more. */
  readonly hidden?: true;
  /** They are processes by RSS, shared pages and page cache included: their parts are unknown (before 4.5, text of ps). */
  readonly byRss?: true;
}

/** Name of a process that exited before its name was read: such processes are no program. */
const UNKNOWN = '?';
const MOST = 3;
/** Cgroups whose memory.stat is read: those with the most memory, page cache included. */
const MAX_CGROUPS = 16;
/** A holder that has this share of another one replaces it: the process of a cgroup, or of a program, says more. */
const SAME = 0.8;

const bySize = (a: Holder, b: Holder) => b.bytes - a.bytes;

/**
 * Kills of the last hour after which one process of the victim's name has half of the victim's memory again: they are
 * not over.
 */
export function withSuccessors(findings: readonly Finding[], holders: Holders | undefined): readonly Finding[] {
  return findings.map((finding) => {
    const { past, severity, figures } = finding;
    const { victimAnonBytes, victimSharedBytes, comm, pid } = figures;
    if (finding.code !== 'oom-kill' || !past || severity === 'note' || victimAnonBytes == null) return finding;
    const half = (Number(victimAnonBytes) + Number(victimSharedBytes ?? 0)) / 2;
    // RSS may be page cache.
    const again = (holders?.byRss ? [] : holders?.largest)?.find(
      (holder) => holder.kind === 'process' && holder.name === comm && holder.pid !== pid && holder.bytes >= half,
    );
    if (!again) return finding;
    const { past: _, ...present } = finding;
    return { ...present, figures: { ...figures, againPid: again.pid, againBytes: again.bytes } };
  });
}

/** Holders by the owners of memory categories. Undefined: memory was read without owners. */
export function holdersIn({ memory }: Pick<MemoryAnswer, 'memory'>): Holders | undefined {
  const owners = leaves(memory).flatMap((category) => category.owners);
  if (owners.length === 0) return undefined;
  const sums = [...grouped(owners, ({ kind, name, pid }) => JSON.stringify([kind, name, pid]))].flatMap(
    ([, members]) => {
      const [first] = members;
      const bytes = members.reduce((sum, holder) => sum + holder.bytes, 0);
      return first ? [{ kind: first.kind, name: first.name, pid: first.pid ?? null, processes: null, bytes }] : [];
    },
  );
  const processes = sums.filter(({ kind }) => kind === 'process');
  const others = sums.filter(({ kind }) => kind !== 'process');
  return { largest: [...programs(processes), ...others].toSorted(bySize).slice(0, MOST), unreadProcesses: 0 };
}

/**
 * Processes, those of one name together unless one of them has most.
 *
 * @param sumOf their memory, each page counted once
 */
function programs(
  processes: readonly Holder[],
  sumOf = (all: readonly Holder[]) => all.reduce((sum, { bytes }) => sum + bytes, 0),
): Holder[] {
  const byName = grouped(processes, ({ name, pid }) => (name === UNKNOWN ? pid : name));
  return [...byName].flatMap(([, members]): Holder[] => {
    const name = members[0]?.name ?? UNKNOWN;
    const [most] = members.toSorted(bySize);
    const bytes = sumOf(members);
    // What the others have without it: memory that they share is no part of one process.
    const rest = sumOf(members.filter((holder) => holder !== most));
    if (!most || (most.bytes >= SAME * bytes && rest <= (1 - SAME) * bytes)) return most ? [most] : [];
    return [{ kind: 'program', name, pid: most.pid, processes: members.length, bytes }];
  });
}

/**
 * Holders of a host by /proc/PID/status, cgroups, and findings of memory that no process maps. Where no process has
 * anonymous memory (printed since 4.5) they are the processes with the largest RSS; undefined: none has that either.
 */
export function hostHolders(host: HostReader, findings: readonly Finding[]): Holders | undefined {
  // RSS counts a page once for each mapping: a process cannot have more than there is.
  const [, kilobytes] = /^Shmem:\s+(\d{1,13}) kB$/m.exec(optionalText(host.source, '/proc/meminfo')) ?? [];
  const most = kilobytes === undefined ? Number.POSITIVE_INFINITY : Number(kilobytes) * 1024;
  // Pages of perf's rings are neither in RssAnon nor in RssShmem, and freed with the process.
  const traced = host.memory?.named?.filter(({ kind }) => kind === 'trace-rings') ?? [];
  const perf = traced.filter(({ name }) => name === 'perf');
  const rings = new Map(perf.flatMap(({ processes = [] }) => processes.map(({ pid, bytes }) => [pid, bytes] as const)));
  let all: readonly ProcessStatus[] = [];
  try {
    // A process that is unreadable here is no reason for a check to be incomplete.
    all = readProcesses(host).all.map((status) => {
      const { pid, rssAnonBytes, shmemBytes } = status;
      const own = rssAnonBytes + (rings.get(pid) ?? 0);
      return {
        ...status,
        rssAnonBytes: own,
        shmemBytes: Math.min(most, host.mappings?.distinctOf(pid, shmemBytes) ?? shmemBytes),
      };
    });
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
  }
  const comm = commIn(host);
  const { listed, unreadProcesses } = host;
  // The first process is in every whole list.
  const restOf = (isWhole: boolean) => ({ unreadProcesses, ...(isWhole ? {} : { hidden: true as const }) });
  const isWhole = listedPids(host.source).includes('1');
  if (all.every(({ rssAnonBytes, shmemBytes }) => rssAnonBytes + shmemBytes === 0)) {
    const resident = all.map(({ pid, name, sharedBytes: bytes }): ResidentProcess => ({ pid, name, bytes }));
    const largest = (listed ?? resident)
      .map(({ pid, name, bytes }): Holder => {
        return { kind: 'process', name: name ?? comm(pid) ?? UNKNOWN, pid, processes: null, bytes };
      })
      .filter(({ bytes }) => bytes > 0)
      .toSorted(bySize)
      .slice(0, MOST);
    const isAll = listed ? listed.some(({ pid }) => pid === 1) : isWhole;
    return largest.length === 0 ? undefined : { largest, ...restOf(isAll), byRss: true };
  }
  const processes = all.map(({ pid, name, rssAnonBytes, shmemBytes }): Holder => {
    return {
      kind: 'process',
      name: name ?? comm(pid) ?? UNKNOWN,
      pid,
      processes: null,
      bytes: rssAnonBytes + shmemBytes,
    };
  });
  const sizes = new Map(all.map((status) => [status.pid, status]));
  const members = grouped(processes, ({ name }) => name);
  const named = programs(processes, (members) => together(members, sizes, host)).map((program): Candidate => {
    if (program.kind !== 'program') return { holder: program, parts: new Map([[program.pid ?? '', program.bytes]]) };
    const parts = new Map(
      (members.get(program.name) ?? []).map(({ pid }) => [pid ?? 0, sizes.get(pid ?? 0)?.rssAnonBytes ?? 0]),
    );
    // What they share is that of the largest.
    const shared = [...parts.values()].reduce((rest, bytes) => rest - bytes, program.bytes);
    return { holder: program, parts: parts.set(program.pid ?? 0, (parts.get(program.pid ?? 0) ?? 0) + shared) };
  });
  const shared = host.unmapped.map(({ name, pid, inside, bytes }): Holder => {
    return { kind: 'unmapped', name, pid: pid ?? inside ?? null, processes: null, bytes };
  });
  // Another process may have the same BPF ring buffers.
  const ofBpf = traced.flatMap(({ name, processes: [most] = [] }): Holder[] => {
    if (name !== 'BPF' || most === undefined) return [];
    return [{ kind: 'unmapped', name: most.comm ?? UNKNOWN, pid: most.pid, processes: null, bytes: most.bytes }];
  });
  const kept = [...shared, ...ofBpf, ...findings.flatMap(unmapped)].map((holder): Candidate => {
    return { holder, parts: new Map([[`${holder.pid} ${holder.name}`, holder.bytes]]) };
  });
  const largest = disjoint([...named, ...kept], cgroupCandidates(host, [...named, ...kept]));
  return { largest, ...restOf(isWhole) };
}

/**
 * Memory of processes of one name, shared memory once: at least that of the process with most of it, and at most what is
 * allocated of the files that they map, if that is known.
 */
function together(
  members: readonly Holder[],
  sizes: ReadonlyMap<number, ProcessStatus>,
  { mappings, mapped: files }: HostReader,
): number {
  const all = members.flatMap(({ pid }) => sizes.get(pid ?? 0) ?? []);
  const sum = (of: (status: ProcessStatus) => number) => all.reduce((bytes, status) => bytes + of(status), 0);
  const least = Math.max(0, ...all.map(({ shmemBytes }) => shmemBytes));
  const pids = new Set(all.map(({ pid }) => pid));
  // A snapshot names one process of each file.
  const recorded = files.reduce((bytes, file) => bytes + (pids.has(file.pid ?? 0) ? file.bytes : 0), 0);
  const mapped = mappings ? (mappings.bytesOf(pids) ?? least) : recorded;
  const most = sum(({ shmemBytes }) => shmemBytes);
  return sum(({ rssAnonBytes }) => rssAnonBytes) + Math.max(least, Math.min(mapped, most));
}

/** A holder, and its memory by process or by owner of unmapped memory. */
interface Candidate {
  readonly holder: Holder;
  readonly parts: ReadonlyMap<string | number, number>;
}

/**
 * The largest holders. A program says more than its cgroup: a cgroup whose memory is mostly that of the largest others
 * is left out, and ranks by the rest of its memory.
 */
function disjoint(named: readonly Candidate[], cgroups: readonly Candidate[]): Holder[] {
  const ranked = (all: readonly { readonly holder: Holder; readonly rest: number }[]) =>
    all.toSorted((first, two) => two.rest - first.rest).slice(0, MOST);
  const known = named.filter(({ holder }) => holder.bytes > 0);
  const top = ranked(known.map((candidate) => ({ ...candidate, rest: candidate.holder.bytes })));
  const names = new Set(top.map(({ holder }) => holder));
  const covered = new Set(known.flatMap(({ holder, parts }) => (names.has(holder) ? [...parts.keys()] : [])));
  const others = cgroups.flatMap(({ holder, parts }) => {
    const rest = [...parts].reduce((left, [key, bytes]) => left - (covered.has(key) ? bytes : 0), holder.bytes);
    return rest > holder.bytes / 2 ? [{ holder, rest }] : [];
  });
  return ranked([...top, ...others])
    .map(({ holder }) => holder)
    .toSorted(bySize);
}

/** Other memory that no process maps, with its owner if one is known. */
function unmapped({ code, figures }: Finding): Holder[] {
  const { pid, comm } = figures;
  if (code === 'pipes') {
    // They hold no more than what is in no counter.
    const most = Math.min(Number(figures.mostBytes), Number(figures.unattributedBytes));
    const processes = Number(figures.processes ?? 1);
    return [{ kind: 'pipes', name: String(comm ?? UNKNOWN), pid: Number(pid), processes, bytes: most }];
  }
  const bytes = Number(
    figures.queueBytes ?? figures.pinnedBytes ?? figures.mapBytes ?? figures.bytes ?? figures.queuedBytes ?? 0,
  );
  const isOwner =
    code === 'queued-data-of-process' ||
    code === 'message-queues' ||
    (code === 'unlisted-sockets' && Number(figures.sockets) >= SAME * Number(figures.allSockets)) ||
    (code === 'vmalloc' && figures.mapBytes != null) ||
    code === 'unreclaimable-slab';
  if (!isOwner) return [];
  const name = figures.name ?? comm ?? figures.caches ?? null;
  return [
    {
      kind: 'unmapped',
      name: name === null ? code.replaceAll('-', ' ') : String(name),
      // The sender of a message is not its holder.
      pid: code === 'message-queues' ? null : Number(pid ?? 0) || null,
      processes: null,
      bytes,
    },
  ];
}

/** Cgroups by their own memory that reclaim cannot free, without that of the cgroups in them. */
function cgroupHolders(host: HostReader): Holder[] {
  const largest = host.cgroups.toSorted((a, b) => b.bytes - a.bytes).slice(0, MAX_CGROUPS);
  const held = new Map<string, number>();
  for (const { cgroup, folder, bytes } of largest) {
    const stat = optionalText(host.source, `${folder}/memory.stat`);
    const figures = (line: RegExp) => [...stat.matchAll(line)].map(([, figure]) => Number(figure));
    const cache = figures(/^(?:total_)?(?:in)?active_file (\d{1,15})$/gm);
    // Inodes and buffers of the files; version 1 does not list it.
    const slab = figures(/^slab_reclaimable (\d{1,15})$/gm);
    // Without these lines, page cache cannot be told from other memory. Version 1 has those of the cgroup alone first.
    const freeable = [...cache.slice(-2), ...slab].reduce((a, b) => a + b, 0);
    if (cache.length >= 2) held.set(cgroup, Math.max(0, bytes - freeable));
  }
  return [...held].flatMap(([name, bytes]): Holder[] => {
    const inner = host.cgroups.filter(({ cgroup }) => cgroup.slice(0, cgroup.lastIndexOf('/')) === name);
    const others = inner.map(({ cgroup }) => held.get(cgroup));
    if (name === '/' || others.includes(undefined)) return [];
    const own = others.reduce<number>((rest, part = 0) => rest - part, bytes);
    return own > 0 ? [{ kind: 'cgroup', name, pid: null, processes: null, bytes: own }] : [];
  });
}

/** Cgroups with the parts of other holders that are in them; a cgroup with one large process yields to it. */
function cgroupCandidates(host: HostReader, others: readonly Candidate[]): Candidate[] {
  const cgroups = cgroupHolders(host);
  if (cgroups.length === 0) return [];
  const parts = new Map<string, Map<string | number, number>>(cgroups.map(({ name }) => [name, new Map()]));
  for (const { holder, parts: amounts } of others)
    for (const [key, bytes] of amounts) {
      const pid = ['unmapped', 'pipes'].includes(holder.kind) ? holder.pid : key;
      if (pid === null || bytes === 0) continue;
      for (const line of optionalText(host.source, `/proc/${pid}/cgroup`).split('\n'))
        parts.get(line.replace(/^\d+:[^:]*:/, ''))?.set(key, bytes);
    }
  return cgroups.flatMap((holder): Candidate[] => {
    const own = parts.get(holder.name) ?? new Map();
    return Math.max(0, ...own.values()) >= SAME * holder.bytes ? [] : [{ holder, parts: own }];
  });
}
