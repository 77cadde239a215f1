import type { MemoryAnswer } from '../account/memory/answer.js';
import { leaves } from '../account/memory/tree.js';
import { HostError } from '../base/errors.js';
import { listedPids } from '../host/proc/process.js';
import { attempted } from '../host/proc/shared-files.js';
import { HOST_CHECKS, type HostCheckName } from '../records/triage-codes.js';
import type { KernelTriage } from './answer.js';
import { ranked } from './answer.js';
import { subjectIn } from './captured.js';
import { type Finding, withSubject } from './finding.js';
import { hasTrait } from './findings/all.js';
import { withSuccessors } from './holders.js';
import { cgroups } from './host-cgroups.js';
import { deniedWords, INOTIFY_HIDES, inotify, limits } from './host-limits.js';
import { fragmentation, largeSlab, lowMemory, memoryPressure, oomKills, writeback } from './host-memory.js';
import { leakedCounters, NAMED_HIDES, namedMemory } from './host-named.js';
import { lowAvailable, pipes, processes, sharedMemory, unusedHugePages, vmalloc } from './host-processes.js';
import { QUEUES_HIDE, unreadMessages } from './host-queues.js';
import type { HostReader } from './host-reader.js';
import { stealSinceNow } from './hypervisor.js';

export const SOCKETS_HIDE = 'unread sockets';
/** Of processes whose descriptors are denied: those of others were checked. */
export const DENIED_SOCKETS_HIDE = 'unread sockets of some processes';
const CGROUPS_HIDE = 'cgroups at their limits and OOM kills in cgroups';
const PROCESSES_HIDE = 'zombies, blocked tasks, large page tables and descriptor limits';

/** Checks of host files, with the problems that stay hidden without each. */
const CHECKS: readonly (readonly [
  check: HostCheckName,
  hides: string,
  find: (host: HostReader) => Iterable<Finding>,
])[] = [
  ['watermarks', 'zones that are short of memory', lowMemory],
  ['available', 'memory that is nearly used up', lowAvailable],
  ['shared-memory', 'shared memory that no process maps', sharedMemory],
  ['fragmentation', 'fragmented memory', fragmentation],
  ['memory-pressure', 'tasks that stall for memory', memoryPressure],
  ['cgroups', CGROUPS_HIDE, cgroups],
  ['oom-kills', 'OOM kills since boot', oomKills],
  ['writeback', 'writeback that makes no progress', writeback],
  ['slab', 'large unreclaimable slab caches', largeSlab],
  ['message-queues', QUEUES_HIDE, unreadMessages],
  ['vmalloc', 'large vmalloc areas', vmalloc],
  ['processes', PROCESSES_HIDE, processes],
  ['limits', 'limits that are nearly reached', limits],
  ['huge-pages', 'unused huge pages', unusedHugePages],
  ['named-memory', NAMED_HIDES, namedMemory],
  ['counters', 'counters that leak', leakedCounters],
];

/** Checks pipes only if memory is in no counter: theirs is in none. */
export function pipeFindings(host: HostReader, { memory }: Pick<MemoryAnswer, 'memory'>): Finding[] {
  const unattributed = leaves(memory).find(({ category }) => category === 'unattributed');
  const bytes = unattributed?.range?.leastBytes ?? unattributed?.bytes ?? 0;
  // Other captures than snapshots, and older ones, have no descriptors of pipes.
  if (!host.source.file && !hasPipes(host)) return [];
  return host.run('pipes', 'pipes that hold much memory', () => pipes(host, bytes));
}

/** Whether a capture has any descriptor of a pipe. */
function hasPipes({ source }: HostReader): boolean {
  const links = (pid: string) =>
    (attempted(() => source.list(`/proc/${pid}/fd`)) ?? []).map((fd) =>
      attempted(() => source.readLink(`/proc/${pid}/fd/${fd}`)),
    );
  return (attempted(() => listedPids(source)) ?? []).some((pid) =>
    links(pid).some((link) => link?.startsWith('pipe:')),
  );
}

/** Runs all checks of host files. They do not wait, and take no lock of a process. */
export function hostFindings(host: HostReader): Finding[] {
  const stolen = stealSinceNow(host);
  const findings = withoutCountedKills(
    CHECKS.flatMap(([check, hides, find]) => host.run(check, hides, () => find(host))),
  );
  findings.push(...host.run('cpu-steal', 'a hypervisor that does not run this guest', stolen));
  // Descriptors are not part of a snapshot.
  if (!host.source.file) return findings;
  return [...findings, ...host.run('inotify', INOTIFY_HIDES, () => inotify(host))];
}

/** Kills in cgroups count for the machine too: its finding remains if it has others. */
function withoutCountedKills(findings: readonly Finding[]): Finding[] {
  const isOfCgroup = ({ code, figures }: Finding) => code === 'oom-kills' && figures.cgroup !== null;
  const counted = findings.filter(isOfCgroup).reduce((sum, { figures }) => sum + Number(figures.kills), 0);
  return findings.filter(
    (finding) => finding.code !== 'oom-kills' || isOfCgroup(finding) || Number(finding.figures.kills) > counted,
  );
}

/** Files that a capture may lack, by the check that reads them on a running host. */
const LACKING: readonly (readonly [check: HostCheckName, file: RegExp, hides: string])[] = [
  ['sockets', /^\/proc\/\d+\/fd:/, SOCKETS_HIDE],
  ['processes', /^\/proc\/\d+\/(?:task|stat|status|limits)[/:]/, PROCESSES_HIDE],
  ['cgroups', /^\/sys\/fs\/cgroup\//, CGROUPS_HIDE],
];

/**
 * Reports files that a capture lacks and that no check has missed, or processes that it did not count: a check does not
 * read what it has no reason to read.
 *
 * @param lacking their messages are `PATH: REASON`
 */
export function missCaptured(host: HostReader, lacking: readonly HostError[]): void {
  for (const [check, file, hides] of LACKING) {
    const lost = lacking.filter(({ message }) => file.test(message));
    const [first, ...others] = lost;
    if (first === undefined) continue;
    const pids = new Set(lost.flatMap(({ message }) => /^\/proc\/(\d+)\//.exec(message)?.[1] ?? []));
    const known = host.unread.filter((unread) => unread.check === check);
    if (known.some(({ processes }) => pids.size === 0 || (processes ?? 0) >= pids.size)) continue;
    const isDenied = check === 'sockets' && lost.every(({ code }) => code === 'denied');
    const more = others.length === 0 ? '' : `, and ${others.length} more`;
    const why = isDenied ? deniedWords([...pids].map(Number)) : `${first.message}${more}`;
    host.miss(check, isDenied ? DENIED_SOCKETS_HIDE : hides, new HostError(first.code, why), pids.size || undefined);
  }
}

/**
 * Adds the findings from files of the running host to those from its kernel memory. If both report the same
 * subject, the finding from kernel memory is kept, unless only the other names a process.
 */
export function withHostFindings(answer: KernelTriage, host: HostReader): KernelTriage {
  const ofHost = hostFindings(host);
  const named = new Set(ofHost.filter(hasOwner).map(subjectOf));
  const isShared = host.checked.includes('shared-memory');
  const kept = answer.findings.filter((finding) =>
    // Files of the host have a creator, and the names that a process sees.
    finding.code === 'shared-memory' ? !isShared : hasOwner(finding) || !named.has(subjectOf(finding)),
  );
  const known = new Set(kept.map(subjectOf));
  const more = ofHost.filter((finding) => !known.has(subjectOf(finding)));
  const all = [...kept, ...more].map((finding) => withSubjectHere(finding, host));
  const { unread, unreadProcesses } = host;
  const missed = new Set(unread.map(({ check }) => check));
  const asked = new Set([...(answer.checked ?? []), ...host.checked]);
  const checked = HOST_CHECKS.filter((name) => asked.has(name) && !missed.has(name));
  const holders = answer.holders && { ...answer.holders, unreadProcesses };
  const findings = withSuccessors(all, holders);
  return ranked({ ...answer, findings, holders, checked, unread, complete: answer.complete && unread.length === 0 });
}

/** An event of the log, with what became of its subject on this machine. */
function withSubjectHere(finding: Finding, host: HostReader): Finding {
  const { secondsAgo, subject } = finding.figures;
  if (typeof secondsAgo !== 'number' || subject != null) return finding;
  return withSubject(finding, subjectIn(host, finding, secondsAgo));
}

const hasOwner = (finding: Finding): boolean => !hasTrait(finding, 'single') || finding.figures.pid != null;

/** Key of a finding, to recognize duplicates. Zones, cgroups, processes and limits are separate findings. */
function subjectOf(finding: Finding): string {
  const { code, figures } = finding;
  const { node, zone, cgroup, pid, limit, caller } = figures;
  if (hasTrait(finding, 'single')) return `${code} ${caller}`;
  return [code, node, zone, cgroup, pid, limit].join(' ');
}
