import type { MemoryAnswer } from '../account/memory/answer.js';
import { leaves } from '../account/memory/tree.js';
import { HostError } from '../base/errors.js';
import type { LogRest } from '../contracts/log.js';
import { readUptime } from '../host/proc/machine-sample.js';
import { optionalText, statusFields } from '../host/proc/process.js';
import type { LogRecord, TextRecord } from '../records/log-records.js';
import { type Warning, Warnings } from '../walk/warnings.js';
import type { HostOrigin, HostTriage, LogTriage } from './answer.js';
import { ranked } from './answer.js';
import { type Finding, type RunningFacts, type Subject, withPast } from './finding.js';
import { hostHolders, withSuccessors } from './holders.js';
import { pageblocks } from './host-memory.js';
import { loweredTotal } from './host-named.js';
import { type HostReader, isAbsent } from './host-reader.js';
import { balloonDriver, withBalloon, withHypervisor } from './hypervisor.js';
import { memoryFindings } from './kernel-findings.js';
import { logFindings } from './log/log-findings.js';
import { isAnsweredBy } from './pasted-outputs.js';
import { findingsBeside } from './text.js';

/** Sources of a host's findings; a string: why a source is not available. */
export interface HostParts {
  readonly of: Omit<HostOrigin, 'uptimeSeconds'>;
  readonly pageSize: number;
  readonly log: (LogRest & { readonly records: readonly (LogRecord | TextRecord)[] }) | string;
  /** Other logs of the host, including those of other boots. */
  readonly otherLogs?: readonly LogTriage[];
  readonly memory: MemoryAnswer | string;
  /** Findings from its other files and its sockets. */
  readonly found: readonly Finding[];
  readonly reader: HostReader;
  /** Seconds from boot to a baseline: earlier events are history. */
  readonly historyUntil?: number | undefined;
  readonly warnings: readonly Warning[];
}

/** Commands that work without readable kernel memory. */
const ANSWERED = {
  live: /^(?:blocked|memory|procs|skcheck)(?: |$)/,
  captured: /^(?:blocked|log|memory|procs|skcheck)(?: |$)/,
  withoutSs: /^(?:blocked|log|memory|procs)(?: |$)/,
};

/** Problems that stay hidden without the log, or without the memory counters. */
const HIDES = {
  log: 'panics, OOM kills, hung tasks and errors in the kernel log',
  memory: 'memory that is not attributed to any owner',
};

/** The end of a suspend or hibernation (kernel/power): 2.6.32 to 4.13, and later. */
const RESUMED = /^PM: (?:Finishing wakeup|suspend exit|(?:hibernation: )?hibernation exit)/;

export function triageHost(parts: HostParts): HostTriage {
  const { of, pageSize, log, otherLogs = [], memory, found, reader } = parts;
  const warnings = new Warnings();
  const logged = typeof log === 'string' ? undefined : log;
  const counted = typeof memory === 'string' ? undefined : memory;
  const beside = otherLogs.map(({ name }) => name).join(', ');
  // The list of what a text contains says what it lacks.
  const lacksLog = of.pasted !== undefined;
  const lacksMemory = of.pasted !== undefined && !of.pasted.files.has('proc/meminfo');
  // The first sentence says so.
  const isAbsent = log === 'log was not captured';
  if (typeof log === 'string' && !lacksLog && !(isAbsent && beside === ''))
    warnings.add('unreadable', beside === '' ? log : `${log}: findings rest on ${beside}`);
  if (typeof memory === 'string' && !lacksMemory) warnings.add('unreadable', memory);
  const known = [...parts.warnings, ...(logged?.warnings ?? []), ...(counted?.warnings ?? [])];
  for (const { code, message } of known) warnings.add(code, message);
  const uptime = readUptime(reader.source) ?? undefined;
  const running: RunningFacts = {
    subjectOf: (finding, secondsAgo) => subjectIn(reader, finding, secondsAgo),
    historyUntil: parts.historyUntil,
  };
  // The log’s clock stands still during suspend, and the uptime includes it: ages are unknown.
  const isSuspended = logged?.records.some(({ text }) => RESUMED.test(text)) ?? false;
  const own = logged ? withPast(logFindings(logged.records, pageSize), isSuspended ? null : uptime, running) : [];
  const counters = counted ? memoryFindings(counted) : [];
  const findings = [
    ...own.map((finding) => withPageblocks(finding, reader)),
    ...findingsBeside(own, otherLogs),
    ...counters.filter(({ figures }) => figures.bytes !== 0),
  ];
  const zones = new Set(findings.map(zoneOf));
  const receivers = new Set(found.flatMap(({ code, figures }) => (code === 'sockets-in-flight' ? [figures.pid] : [])));
  // Passed descriptors of sockets are no pipes.
  const isOfSockets = ({ code, figures }: Finding) =>
    code === 'pipes' && figures.descriptors != null && receivers.has(figures.pid);
  const others = found.filter(
    (finding) => (zoneOf(finding) === null || !zones.has(zoneOf(finding))) && !isOfSockets(finding),
  );
  findings.push(...others.flatMap((other) => (other.code === 'oom-kills' ? unloggedKills(other, own) : other)));
  // What may be in no counter comes after what is.
  findings.push(...counters.filter(({ figures }) => figures.bytes === 0));
  if (typeof log === 'string') reader.miss('log', HIDES.log, new HostError('unreadable', log));
  else if (logged?.overwritten !== 0)
    reader.miss('log', HIDES.log, new HostError('unreadable', lostWords(logged?.overwritten)));
  else reader.checked.unshift('log');
  if (typeof memory === 'string') reader.miss('memory', HIDES.memory, new HostError('unreadable', memory));
  else if (leaves(memory.memory).some(({ category, bytes }) => category === 'missing-counters' && bytes > 0)) {
    const [why] = memory.warnings.filter(({ message }) => message.startsWith('memory is incomplete'));
    reader.miss('memory', HIDES.memory, new HostError('unreadable', why?.message ?? 'counters are missing'));
  } else reader.checked.push('memory');
  const list = warnings.list();
  const driver = balloonDriver(optionalText(reader.source, '/proc/modules'), logged?.records ?? []);
  // Where its size is known, it has a row of its own.
  const balloon = counted?.otherCounters?.balloon ? undefined : driver;
  findings.push(...loweredTotal(balloon, logged?.records ?? [], counted?.counted ?? new Map()));
  const lacksSs = reader.unread.some(({ check, code }) => check === 'sockets' && code === 'not-a-capture');
  const form = of.isCaptured ? (lacksSs ? ANSWERED.withoutSs : ANSWERED.captured) : ANSWERED.live;
  const isAnswered = of.pasted
    ? isAnsweredBy(of.pasted, counted !== undefined)
    : (command: string) => form.test(command);
  const all = withBalloon(withHypervisor(findings, counted), balloon).map((finding) =>
    withAnswered(finding, isAnswered),
  );
  const listed = hostHolders(reader, all);
  // A list of ps in a text may be cut anywhere.
  const holders = listed?.byRss && of.pasted ? { ...listed, hidden: true as const } : listed;
  return ranked({
    host: { ...of, uptimeSeconds: uptime },
    checked: reader.checked,
    unread: reader.unread,
    failed: [
      ...(typeof memory === 'string' && !lacksMemory ? [`memory could not be computed: ${memory}`] : []),
      ...(typeof log === 'string' && beside === '' && !lacksLog
        ? [isAbsent ? 'the kernel log was not captured' : `the kernel log could not be read: ${log}`]
        : []),
    ],
    memory: counted,
    warnings: list,
    findings: withSuccessors(all, holders),
    holders,
    lost: logged && { overwritten: logged.overwritten, noRoom: null },
    // A check with an unread source finds nothing there: for a program that would be an all-clear.
    complete: list.length === 0 && logged?.overwritten === 0 && reader.unread.length === 0,
  });
}

/**
 * What became of the cgroup or process of an event. The log names them as the host does: in a container, or in a snapshot,
 * one that is not there may be hidden.
 */
export function subjectIn({ source }: HostReader, { code, figures }: Finding, secondsAgo: number): Subject {
  const { cgroup, pid, comm } = figures;
  if (code === 'oom-kill' && figures.scope === 'cgroup' && typeof cgroup === 'string') {
    const root = ['/sys/fs/cgroup', '/sys/fs/cgroup/memory'].find((folder) => isRootCgroup(namesIn(source, folder)));
    if (root === undefined || !source.file) return null;
    const names = namesIn(source, `${root}${cgroup}`);
    return names === undefined ? null : names.length > 0 ? 'present' : 'gone';
  }
  if (code !== 'hung-task') return null;
  const unknown = () => unrepeated(source, secondsAgo);
  if (pid == null || !isInitialPids(source)) return unknown();
  const [status, name] = ['status', 'comm'].map((file) => textOrGone(source, `/proc/${pid}/${file}`));
  if (status === undefined || name === undefined) return unknown();
  const state = /^State:\s+(\S)/m.exec(statusFields(status))?.[1];
  // The pid may be that of another process by now.
  if (state === undefined || !isNameOf(name.replace(/\n$/, ''), String(comm))) return 'gone';
  return state === 'D' ? 'present' : 'running';
}

/** Default of hung_task_timeout_secs (CONFIG_DEFAULT_HUNG_TASK_TIMEOUT). */
const HUNG_SECONDS = 120;

/**
 * Whether khungtaskd should have reported a task again: it reports tasks that hang at least once in each timeout, until
 * no warnings are left (kernel/hung_task.c). No namespace hides these settings.
 */
function unrepeated(source: Source, secondsAgo: number): Subject {
  const [timeout, warnings] = ['timeout_secs', 'warnings'].map((name) => {
    const [figure] = /^-?\d{1,10}(?=\s*$)/.exec(optionalText(source, `/proc/sys/kernel/hung_task_${name}`)) ?? [];
    return figure === undefined ? undefined : Number(figure);
  });
  if (secondsAgo <= 2 * Math.max(timeout ?? 0, HUNG_SECONDS)) return null;
  return timeout && warnings ? 'unrepeated' : 'unknown';
}

/** Bytes of a name in the log: TASK_COMM_LEN without the end. */
const LOGGED_NAME = 15;

/**
 * Whether a name of /proc is that of a task in the log. /proc prints kernel threads in full since 5.17, and workers
 * with their workqueue since 4.18 (proc_task_name): `kworker/0:1-events`.
 */
function isNameOf(name: string, logged: string): boolean {
  if (name.trimEnd() === logged.trimEnd()) return true;
  if (logged === '' || !name.startsWith(logged)) return false;
  const isWorker = logged.startsWith('kworker/') && /^[+-]/.test(name.slice(logged.length));
  return isWorker || Buffer.byteLength(logged) === LOGGED_NAME;
}

/** Text of a file; '': it does not exist; undefined: unreadable. */
function textOrGone(source: Source, path: string): string | undefined {
  try {
    return source.readText(path);
  } catch (error) {
    if (isAbsent(error)) return '';
    if (error instanceof HostError) return undefined;
    throw error;
  }
}

type Source = HostReader['source'];

/** Names in a folder, empty if it does not exist; undefined: unreadable. */
function namesIn(source: Source, folder: string): readonly string[] | undefined {
  try {
    return source.list(folder);
  } catch (error) {
    if (isAbsent(error)) return [];
    if (error instanceof HostError) return undefined;
    throw error;
  }
}

/** Only the root of all cgroups has no type (version 2), or a release agent (version 1). */
function isRootCgroup(names: readonly string[] = []): boolean {
  return (names.includes('cgroup.procs') && !names.includes('cgroup.type')) || names.includes('release_agent');
}

/** Whether pids are those of the host, and all are visible: PROC_PID_INIT_INO of include/linux/proc_ns.h. */
function isInitialPids(source: Source): boolean {
  try {
    return source.readLink('/proc/self/ns/pid') === 'pid:[4026531836]' && source.list('/proc').includes('1');
  } catch (error) {
    if (error instanceof HostError) return false;
    throw error;
  }
}

/**
 * Kills that the log does not report: those of its findings would stand twice. They are past events. Each kill counts in
 * the cgroup of its victim, whatever ran out of memory (__oom_kill_process, mm/oom_kill.c).
 */
function unloggedKills(finding: Finding, logged: readonly Finding[]): Finding[] {
  const { cgroup, kills } = finding.figures;
  const isHere = ({ figures }: Finding) => [figures.cgroup, figures.victimCgroup].some((of) => of === cgroup);
  const known = logged
    .filter((other) => other.code === 'oom-kill' && (cgroup === null || isHere(other)))
    .reduce((sum, { figures }) => sum + Number(figures.times ?? 1), 0);
  return known >= Number(kills) ? [] : [{ ...finding, past: true }];
}

function lostWords(overwritten: number | null | undefined): string {
  return typeof overwritten === 'number'
    ? `the oldest ${overwritten} messages of the kernel log were overwritten`
    : 'the kernel log may lack its oldest messages';
}

/** A refused allocation of several pages, with what fills the zone now. */
function withPageblocks(finding: Finding, reader: HostReader): Finding {
  const { node, zone, order } = finding.figures;
  if (finding.code !== 'allocation-failure' || zone == null || !order) return finding;
  return { ...finding, figures: { ...finding.figures, ...pageblocks(reader, node ?? null, zone) } };
}

/** Zone of a low-memory finding; null for others. Counters and watermarks may both report a zone. */
function zoneOf({ code, figures }: Finding): string | null {
  return code === 'low-memory' ? `${figures.node} ${figures.zone}` : null;
}

/** Drops the next command if it needs what is not there. */
function withAnswered({ next, ...finding }: Finding, isAnswered: (command: string) => boolean): Finding {
  return next !== undefined && isAnswered(next) ? { ...finding, next } : finding;
}
