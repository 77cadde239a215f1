import { type Capture, hostProcesses } from '../../account/processes/host.js';
import { type FoundProcesses, processSample } from '../../account/processes/process.js';
import { processSampleLine, procsSample } from '../../answers/growth/lines.js';
import { HostError, WalkError } from '../../base/errors.js';
import { formatJson } from '../../base/util.js';
import type { Captured, Pressure } from '../../contracts/common.js';
import type { GrownProcess } from '../../contracts/growth.js';
import type { GrowthAnswer } from '../../growth/answer.js';
import type { ProcessesAtTime } from '../../growth/processes.js';
import type { HostSource } from '../../host/host-source.js';
import { readCgroupPressure, readMachine } from '../../host/proc/machine-sample.js';
import { listedPids } from '../../host/proc/process.js';
import { type ReadOptions, readProcesses } from '../../host/proc/process-memory.js';
import type { ProcessMemoryRecord, ProcessRecords } from '../../records/processes.js';
import type { Warning } from '../../walk/warnings.js';
import { UsageError } from '../kit/failure.js';
import { type ProcsOptions, selection } from './options.js';

/** The host whose processes are listed. */
export interface ProcessHost {
  readonly source: HostSource;
  /** Undefined for this machine. */
  readonly captured?: Captured;
  readonly warnings: readonly Warning[];
  /** Output of `ps aux`, the only source about processes in a sosreport. */
  readonly psText?: string;
}

/** Whether the source is a host's /proc or a capture instead of kernel memory. */
export function readsHost({ live, from }: Pick<ProcsOptions, 'live' | 'from'>): boolean {
  return live === true || from !== undefined;
}

/**
 * Opens this machine or a capture.
 *
 * @param mappings whether mappings of processes are needed
 * @throws {UsageError} for an engine; {@link HostError}
 */
export async function openProcessHost(
  { from, engine }: Pick<ProcsOptions, 'from' | 'engine'>,
  mappings = false,
): Promise<ProcessHost> {
  if (from === undefined) {
    if (engine !== 'auto') throw new UsageError('--live does not support --engine, because it reads /proc');
    return { source: (await import('../../host/live.js')).liveHost, warnings: [] };
  }
  const [{ openCaptured }, { checkFrom }] = await Promise.all([
    import('../kit/captured-source.js'),
    import('../kit/from-argument.js'),
  ]);
  checkFrom({ from, engine });
  const { host, of, warnings } = await openCaptured(from, { mappings });
  const { psText } = host;
  return { source: host, captured: of, warnings, ...(psText === undefined ? {} : { psText }) };
}

/**
 * Reads the processes of a host; those of a sosreport are in its output of ps.
 *
 * @param from name of the capture
 * @throws {HostError} a capture contains none
 */
export async function recordsOf(
  { source, captured, psText, warnings }: ProcessHost,
  from: string,
  options: ReadOptions = {},
): Promise<ProcessRecords> {
  if (captured && psText === undefined && listedPids(source).length === 0) throw withoutMemory(from, warnings);
  const records =
    psText === undefined
      ? await readProcesses(source, captured ? { ...options, pss: 'all' } : options)
      : (await import('../../capture/read/sosreport.js')).processesOfPs(psText);
  if (captured && records.processes.length === 0) throw withoutMemory(from, warnings);
  return records;
}

/** Creates the error for a capture without process memory, which captures contain since their third layout. */
export function withoutMemory(from: string, warnings: readonly Warning[]): HostError {
  const [cut] = warnings.flatMap(({ message }) => /\bsample-\d\/after is truncated/.exec(message) ?? []);
  const why = cut
    ? `: the snapshot ended before them (${cut})`
    : ' (an older capture, or a sosreport or text without ps)';
  const next = `kdump-mem snapshot${cut ? ' --timeout 300' : ''}`;
  return new HostError('unreadable', `${from} has no memory figures of processes${why}`, {
    next: `If the host still runs, take a snapshot: ${next}.`,
  });
}

/** Maximum number of cgroups whose PSI is read per sample. */
const MAX_CGROUPS = 1000;

/** A sample of a running machine. */
interface LiveSample {
  readonly answer: FoundProcesses;
  readonly look: ProcessesAtTime;
}

/**
 * @param capture the capture, if it is the source
 * @throws {HostError} /proc lacks the processes or the time
 */
export async function sampleProcesses(
  source: HostSource,
  at: Date,
  { capture, ...options }: Pick<ReadOptions, 'pss' | 'large'> & { readonly capture?: Capture } = {},
): Promise<LiveSample> {
  const machine = readMachine(source, at);
  const records = await readProcesses(source, capture ? { pss: 'all' } : options);
  const known = new Map<string, Pressure | null>();
  const pressureOf = (path: string | undefined): Pressure | null => {
    if (path === undefined) return null;
    const cached = known.get(path);
    if (cached !== undefined) return cached;
    const pressure = known.size < MAX_CGROUPS ? readCgroupPressure(source, path) : null;
    known.set(path, pressure);
    return pressure;
  };
  const answer = hostProcesses(records, undefined, capture);
  // A program that has just started grows, so kdump-mem would report itself.
  const others = capture
    ? records.processes.map(withoutMappingSums)
    : records.processes.filter(({ pid }) => pid !== process.pid);
  const processes = others.map((record) => processSample(record, pressureOf(record.cgroup?.path)));
  return { answer, look: { machine, processes, whole: !records.hidden } };
}

/**
 * Removes the sums of mappings: they are captured only with the last sample, and growth compares values of
 * both samples.
 */
function withoutMappingSums(record: ProcessMemoryRecord): ProcessMemoryRecord {
  return { ...record, sums: null };
}

/** @throws {WalkError} `no-such-pid`: no process matches */
export function checkProcessExists({ answer }: LiveSample, options: ProcsOptions): void {
  const isRestricted = options.pid !== undefined || options.container !== undefined;
  if (isRestricted && !answer.processes.some(selection(options)))
    throw new WalkError('no-such-pid', 'no process matches --pid and --container');
}

/** Returns the processes that --pid and --container select. */
export function selectProcesses(
  { answer: { processes } }: LiveSample,
  answer: GrowthAnswer,
  options: ProcsOptions,
): GrownProcess[] {
  const meant = new Set(processes.filter(selection(options)).map(({ pid }) => pid));
  return answer.processes.filter(({ pid }) => meant.has(pid));
}

/** Returns the lines of a sample in the format of --ndjson. */
export function* lookLines(
  sample: LiveSample,
  answer: GrowthAnswer,
  look: number,
  options: ProcsOptions,
): Generator<string> {
  const { processes, warnings } = sample.answer;
  const listed = selectProcesses(sample, answer, options);
  const allListed = sample.look.whole && listed.length === sample.look.processes.length;
  const facts = { sample: look, processes: listed.length, allListed, warnings };
  yield `${formatJson(procsSample(answer, facts))}\n`;
  const figures = new Map(processes.map((process) => [process.pid, process]));
  for (const grown of listed) {
    const own = figures.get(grown.pid);
    if (own) yield `${formatJson(processSampleLine(own, grown))}\n`;
  }
}

/** Reads sockets with ss, for the estimates of skcheck. */
export async function readSockets(source: HostSource, captured: boolean) {
  const { socketsOfProcesses } = await import('../../skcheck/sockets-of-processes.js');
  return socketsOfProcesses(source, captured || process.geteuid?.() === 0);
}
