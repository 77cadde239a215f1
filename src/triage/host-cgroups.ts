import { HostError, hostOrNull } from '../base/errors.js';
import type { Pressure } from '../contracts/common.js';
import { isCgroupFile } from '../host/proc/cgroup-counters.js';
import { oomKillsIn, parsePressure } from '../host/proc/machine-sample.js';
import { mostMemory, whyImpossible } from '../host/proc/possible-amounts.js';
import { optionalText } from '../host/proc/process.js';
import { type Finding, found } from './finding.js';
import { near } from './host-limits.js';
import { isStalled } from './host-memory.js';
import { commIn, readProcesses } from './host-processes.js';
import { type HostReader, isAbsent, malformed, type ProcessStatus } from './host-reader.js';
import { THRESHOLDS } from './thresholds.js';

const ROOT = '/sys/fs/cgroup';
/** Maximum number of cgroups to read: a machine with 500 pods has about 3,000. */
const MAX_CGROUPS = 20_000;
const MAX_DEPTH = 32;
/** Maximum number of findings of one kind: each is one line. */
const MAX_FINDINGS = 20;
/** cgroup v1 stores PAGE_COUNTER_MAX if there is no limit. Bytes. */
const UNLIMITED = 2 ** 60;
/** Usage may change by this much while it is read. Bytes. */
const MIN_CHANGE = 64 * 2 ** 20;
const HIDES = 'cgroups at their limits and OOM kills in cgroups';

interface Usage {
  readonly cgroup: string;
  readonly kills: number;
  readonly finding: Finding | undefined;
  /** Tasks of the cgroup that stall for memory. */
  readonly stalled?: Finding | undefined;
}

/** Cgroups near their limit or throttled, and OOM kills by cgroup. @throws {HostError} */
export function* cgroups(host: HostReader): Generator<Finding> {
  const top = host.source.list(ROOT);
  const isV2 = top.includes('cgroup.procs');
  if (!isV2 && !top.includes('memory')) throw new HostError('gone', `${ROOT}: no memory controller found`);
  const root = isV2 ? ROOT : `${ROOT}/memory`;
  const total = hostOrNull(() => host.meminfo('MemTotal'));
  const mostBytes = mostMemory(total === null ? {} : { meminfo: new Map([['MemTotal', total]]) });
  const shared = { mostBytes, withKills: !hasNoKills(host) };
  const waiting = [{ folder: root, depth: 0 }];
  /** Files of a cgroup that was listed, by its parent. */
  const listed = new Map<string, ReadonlySet<string>>();
  if (!isV2 && top.includes('pids')) waiting.push({ folder: `${ROOT}/pids`, depth: 0 });
  const usages: Usage[] = [];
  const tasks: Finding[] = [];
  let count = 0;
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (++count > MAX_CGROUPS) {
      host.miss('cgroups', HIDES, new HostError('unreadable', `only ${MAX_CGROUPS} cgroups were read`));
      break;
    }
    const { folder, depth } = next;
    const parent = folder.slice(0, folder.lastIndexOf('/'));
    let names: ReadonlySet<string>;
    try {
      const files = depth > 1 ? listed.get(parent) : undefined;
      const isLeaf = files !== undefined && host.source.subfolders?.(folder) === 0;
      names = isLeaf ? files : new Set(host.source.list(folder));
    } catch (error) {
      // The cgroup was removed meanwhile.
      if (!isAbsent(error)) host.miss('cgroups', HIDES, error);
      continue;
    }
    // Their parent decides which files cgroups have, but for those of domains and of pressure (cgroup_file_show).
    if (!isV2 || (names.has('memory.current') && names.has('memory.pressure')))
      if (!listed.has(parent)) listed.set(parent, new Set([...names].filter(isCgroupFile)));
    if (depth < MAX_DEPTH)
      for (const name of names)
        if (!isCgroupFile(name)) waiting.push({ folder: `${folder}/${name}`, depth: depth + 1 });
    const own = folder.startsWith(root) ? root : `${ROOT}/pids`;
    const cgroup = folder.slice(own.length) || '/';
    try {
      if (names.has('pids.max')) tasks.push(...pidsNear(host, folder, cgroup));
      if (names.has('memory.current')) usages.push(usageV2(host, { folder, cgroup, names, ...shared }));
      else if (names.has('memory.usage_in_bytes') && depth > 0)
        usages.push(usageV1(host, { folder, cgroup, names, ...shared }));
      else if (isV2 && shared.withKills && names.has('memory.events'))
        usages.push({ cgroup, finding: undefined, kills: killsOf(host, folder) });
    } catch (error) {
      if (!isAbsent(error)) host.miss('cgroups', HIDES, error);
    }
  }
  const memory = usages.flatMap(({ finding }) => finding ?? []);
  const processes = new CgroupProcesses(host, isV2);
  for (const finding of memory
    .toSorted((a, b) => Number(b.figures.share) - Number(a.figures.share))
    .slice(0, MAX_FINDINGS))
    yield processes.named(finding);
  yield* stalledGroups(usages, processes);
  yield* tasks.slice(0, MAX_FINDINGS);
  yield* killsByCgroup(usages, isV2);
}

/** Whether the kernel killed no process since boot for want of memory, in a cgroup or not (since 4.13). */
function hasNoKills(host: HostReader): boolean {
  // The files of a capture are of different times.
  return host.source.file !== undefined && oomKillsIn(optionalText(host.source, '/proc/vmstat')) === 0;
}

interface CgroupFolder {
  readonly folder: string;
  readonly cgroup: string;
  /** Its files. */
  readonly names: ReadonlySet<string>;
  readonly withKills: boolean;
  /** Upper bound of the memory of the machine. */
  readonly mostBytes: number;
}

/** Memory that is charged to a cgroup, in bytes. @throws {HostError} unreadable, or not possible on this machine */
function usedBytes(host: HostReader, { folder, cgroup, mostBytes }: CgroupFolder, file: string): number {
  const bytes = host.number(`${folder}/${file}`);
  const why = whyImpossible(`${file} of ${cgroup}`, bytes, mostBytes);
  if (why !== undefined) throw new HostError('unreadable', why);
  host.cgroups.push({ cgroup, folder, bytes });
  return bytes;
}

function usageV2(host: HostReader, of: CgroupFolder): Usage {
  const { folder, cgroup, names, withKills } = of;
  const kills = withKills && names.has('memory.events') ? killsOf(host, folder) : 0;
  const used = usedBytes(host, of, 'memory.current');
  const max = limitOf(host, `${folder}/memory.max`);
  const high = limitOf(host, `${folder}/memory.high`);
  if (max !== null || high !== null) checkUsage(host, folder, used, '');
  // Without CONFIG_PSI the file does not exist.
  const text = names.has('memory.pressure') ? host.optional(`${folder}/memory.pressure`) : '';
  const pressure = parsePressure(text);
  if (text !== '' && !pressure) throw malformed(`${folder}/memory.pressure`);
  const stalled = pressure && isStalled(pressure) ? stalls(cgroup, pressure, used) : undefined;
  const own = { cgroup, kills, stalled };
  if (max !== null && used >= THRESHOLDS['cgroup-near-limit'].warning * max) {
    const finding = nearLimit(host, folder, cgroup, { used, limit: max, prefix: '', pressure });
    if (finding) return { ...own, finding };
  }
  if (high === null || used < THRESHOLDS['cgroup-near-limit'].warning * high) return { ...own, finding: undefined };
  const events = host.text(`${folder}/memory.events`);
  const times = host.figure(`${folder}/memory.events`, events, /^high (\d{1,15})$/m);
  if (times === 0 || (pressure?.full.avg60 ?? 0) < THRESHOLDS['memory-pressure'].warning)
    return { ...own, finding: undefined };
  const figures = {
    cgroup,
    limit: 'memory.high',
    usedBytes: used,
    limitBytes: high,
    share: used / high,
    reclaimableBytes: null,
    fullAvg60: pressure?.full.avg60 ?? null,
  };
  return { ...own, finding: found('cgroup-near-limit', 'warning', figures, 'procs --by cgroup') };
}

/** Stalls of a cgroup, also where its limit leaves too little page cache: reclaim then only moves the problem. */
function stalls(cgroup: string, { some, full }: Pressure, usedBytes: number): Finding {
  const figures = {
    cgroup,
    fullAvg10: full.avg10,
    fullAvg60: full.avg60,
    someAvg10: some.avg10,
    someAvg60: some.avg60,
    usedBytes,
  };
  return found('memory-pressure', 'warning', figures, 'procs --by cgroup');
}

/** The innermost cgroups that stall without another finding: pressure includes that of descendants. */
function* stalledGroups(usages: readonly Usage[], processes: CgroupProcesses): Generator<Finding> {
  const all = usages.filter(({ stalled }) => stalled);
  const inner = all.flatMap(({ cgroup, finding, stalled }) => {
    const isOuter = cgroup === '/' || all.some((usage) => usage.cgroup.startsWith(`${cgroup}/`));
    return isOuter || finding || !stalled ? [] : [stalled];
  });
  const average = ({ figures }: Finding) => Number(figures.fullAvg60);
  for (const finding of inner.toSorted((a, b) => average(b) - average(a)).slice(0, MAX_FINDINGS))
    yield processes.named(finding);
}

/** The processes of the host by cgroup, read once they are needed. */
class CgroupProcesses {
  #all: readonly (ProcessStatus & { readonly cgroup: string })[] | undefined;

  constructor(
    readonly host: HostReader,
    readonly isV2: boolean,
  ) {}

  /** The finding of a cgroup, with its process that has the most anonymous memory. */
  named(finding: Finding): Finding {
    const { source } = this.host;
    const form = this.isV2 ? /^0::(.*)$/m : /^\d+:(?:[\w=]+,)*memory(?:,[\w=]+)*:(.*)$/m;
    // A process that is unreadable hides no cgroup at its limit: it is no part of what the check misses.
    this.#all ??= readProcesses(this.host).all.flatMap((status) => {
      const cgroup = form.exec(optionalText(source, `/proc/${status.pid}/cgroup`))?.[1];
      return cgroup === undefined ? [] : [{ ...status, cgroup }];
    });
    const own = String(finding.figures.cgroup);
    const [most] = this.#all
      .filter(({ cgroup }) => cgroup === own || cgroup.startsWith(`${own}/`))
      .toSorted((a, b) => b.anonBytes - a.anonBytes);
    // If a process is unreadable, only one with most of the memory is the largest for sure.
    const isWhole = readProcesses(this.host).missing.length === 0;
    const least = isWhole ? 1 : Number(finding.figures.usedBytes) / 2;
    const process =
      most && most.anonBytes >= least
        ? { pid: most.pid, comm: commIn(this.host)(most.pid), anonBytes: most.anonBytes }
        : { pid: null, comm: null, anonBytes: null };
    return { ...finding, figures: { ...finding.figures, ...process } };
  }
}

function usageV1(host: HostReader, of: CgroupFolder): Usage {
  const { folder, cgroup, names, withKills } = of;
  const kills =
    withKills && names.has('memory.oom_control')
      ? Number(/^oom_kill (\d{1,15})$/m.exec(host.text(`${folder}/memory.oom_control`))?.[1] ?? 0)
      : 0;
  const used = usedBytes(host, of, 'memory.usage_in_bytes');
  // A cgroup without a charge is not near its limit.
  if (used === 0) return { cgroup, kills, finding: undefined };
  const limit = host.number(`${folder}/memory.limit_in_bytes`);
  if (limit >= UNLIMITED) return { cgroup, kills, finding: undefined };
  checkUsage(host, folder, used, 'total_');
  if (used < THRESHOLDS['cgroup-near-limit'].warning * limit) return { cgroup, kills, finding: undefined };
  return { cgroup, kills, finding: nearLimit(host, folder, cgroup, { used, limit, prefix: 'total_' }) };
}

/**
 * Pages on LRU lists are charged: if memory.stat counts many more than the usage, one of them is damaged. Usage may
 * exceed them by kernel memory of any size. Both are read one after the other: only large differences count.
 */
function checkUsage(host: HostReader, folder: string, used: number, prefix: string): void {
  const form = new RegExp(`^${prefix}(?:\\w*active_\\w+|unevictable) (\\d{1,19})$`, 'gm');
  const lines = [...host.optional(`${folder}/memory.stat`).matchAll(form)];
  const onLists = lines.reduce((sum, [, bytes]) => sum + Number(bytes), 0);
  if (onLists <= 1.2 * used + MIN_CHANGE) return;
  const why = `the usage of ${folder.slice(ROOT.length)} contradicts its memory.stat`;
  host.miss('cgroups', HIDES, new HostError('unreadable', why));
}

interface AtLimit {
  readonly used: number;
  readonly limit: number;
  readonly prefix: string;
  readonly pressure?: Pressure | null;
}

/** Undefined if enough page cache can be reclaimed. */
function nearLimit(
  host: HostReader,
  folder: string,
  cgroup: string,
  { used, limit, prefix, pressure }: AtLimit,
): Finding | undefined {
  const path = `${folder}/memory.stat`;
  const stat = host.text(path);
  const line = (name: string) => host.figure(path, stat, new RegExp(`^${prefix}${name} (\\d{1,19})$`, 'm'));
  const cache = line('inactive_file') + line('active_file');
  const kept = used - cache;
  if (kept < THRESHOLDS['cgroup-near-limit'].warning * limit) return undefined;
  const figures = {
    cgroup,
    limit: prefix === '' ? 'memory.max' : 'memory.limit_in_bytes',
    usedBytes: used,
    limitBytes: limit,
    share: kept / limit,
    reclaimableBytes: cache,
    fullAvg60: pressure?.full.avg60 ?? null,
  };
  return found('cgroup-near-limit', 'warning', figures, 'procs --by cgroup');
}

/** Tasks of a cgroup near pids.max: fork() then fails. */
function* pidsNear(host: HostReader, folder: string, cgroup: string): Generator<Finding> {
  const most = limitOf(host, `${folder}/pids.max`);
  if (most !== null) yield* near(`pids.max of ${cgroup}`, host.number(`${folder}/pids.current`), most);
}

/** Null: no limit. */
function limitOf(host: HostReader, path: string): number | null {
  const text = host.text(path).trim();
  if (text === 'max') return null;
  return host.figure(path, text, /^(\d{1,19})$/);
}

function killsOf(host: HostReader, folder: string): number {
  const path = `${folder}/memory.events`;
  // Since 4.13.
  return Number(/^oom_kill (\d{1,15})$/m.exec(host.text(path))?.[1] ?? 0);
}

/** OOM kills by cgroup. Counters of v2 include descendants: each kill counts only where it occurred. */
function* killsByCgroup(usages: readonly Usage[], isV2: boolean): Generator<Finding> {
  const own = new Map(usages.map(({ cgroup, kills }) => [cgroup, kills]));
  if (isV2)
    for (const { cgroup, kills } of usages) {
      const parent = cgroup.slice(0, cgroup.lastIndexOf('/')) || '/';
      if (cgroup !== '/' && own.has(parent)) own.set(parent, (own.get(parent) ?? 0) - kills);
    }
  const some = [...own].filter(([, kills]) => kills > 0).toSorted((a, b) => b[1] - a[1]);
  for (const [cgroup, kills] of some.slice(0, MAX_FINDINGS))
    yield found('oom-kills', 'note', { kills, cgroup }, 'procs --by cgroup');
}
