import { existsSync } from 'node:fs';
import { eachCaptured } from '../../account/log.js';
import type { MemoryAnswer } from '../../account/memory/answer.js';
import { recordedAnswer } from '../../answers/triage/recorded.js';
import { HostError, KernelError } from '../../base/errors.js';
import type { CapturedFiles } from '../../capture/read/captured-files.js';
import { capturedLog } from '../../capture/read/log.js';
import { RECORDED, RING } from '../../capture/read/manifest.js';
import { processesOfPs } from '../../capture/read/sosreport.js';
import { groupLogs } from '../../host/logs.js';
import { withTablesReadOnce } from '../../host/proc/descriptor-tables.js';
import { hostOrigin } from '../../host/proc/machine-sample.js';
import { knownPageSize, readPageSize } from '../../host/proc/memory.js';
import { optionalText } from '../../host/proc/process.js';
import { SharedMappings } from '../../host/proc/shared-mappings.js';
import { STDIN } from '../../host/text-input.js';
import type { LogRecord, TextRecord } from '../../records/log-records.js';
import type { HostTriage } from '../../triage/answer.js';
import { type HostParts, triageHost } from '../../triage/captured.js';
import type { FailOn, Finding } from '../../triage/finding.js';
import { hostFindings, missCaptured, pipeFindings } from '../../triage/host-checks.js';
import { readProcesses } from '../../triage/host-processes.js';
import { HostReader } from '../../triage/host-reader.js';
import { pastedFindings } from '../../triage/pasted-outputs.js';
import type { AnswerOptions } from '../kit/answer.js';
import { capturedAt } from '../kit/captured-source.js';
import { checkPage } from '../kit/html-page.js';
import { sourceWords } from '../kit/kernel-source.js';
import { memoryOfCapture } from '../memory/captured.js';
import { changesSince, readBaseline } from './baseline.js';
import { hostSockets } from './host-sockets.js';
import { presentTriage, type TriagePrintOptions } from './print.js';
import { bootId, withRing } from './ring.js';
import { findingsOf } from './text-log.js';
import { withUmems } from './umems.js';

interface HostTriageOptions extends TriagePrintOptions {
  /** Earlier state of the host, to compare. */
  readonly baseline?: string;
  /** File of a recorder. */
  readonly ring?: string;
}

/**
 * Prints the problems of a host at the time of capture.
 *
 * @throws {HostError} the capture cannot be read
 */
export async function printCapturedTriage(
  from: string,
  files: CapturedFiles,
  options: HostTriageOptions,
  failing: FailOn | null,
): Promise<void> {
  checkPage({ ...options, vmcore: [from] });
  const isOne = from !== STDIN && existsSync(from);
  const source = capturedAt(files, 'last');
  const { host, of } = source;
  const pageSize = readPageSize(host);
  const { found: logs, failures } = await findingsOf(groupLogs(files.logs()), pageSize);
  const recorded = files.names().filter((name) => RECORDED.test(name));
  const answers = recorded.map((name) => recordedAnswer(name, files.bytes(name) ?? Buffer.alloc(0)));
  const missing = [
    ...failures.map(({ message }) => message),
    ...logs.flatMap((log) => log.missing),
    ...recorded.filter((_, at) => !answers[at]).map((name) => `${name}: not an answer of kdump-mem, or damaged`),
  ];
  const warnings = missing.map((message) => ({ code: 'unreadable', message }) as const);
  const reader = new HostReader(host, pageSize);
  const { psText } = host;
  if (psText !== undefined)
    reader.listed = processesOfPs(psText).processes.map(({ pid, comm: name, status }) => {
      return { pid, name, bytes: status?.rss ?? 0 };
    });
  const answer = await triageOf(reader, {
    of: { ...of, isCaptured: true, pasted: files.pasted },
    warnings: [...source.warnings, ...warnings],
    log: logOf(() => ({ text: host.logText(), isCut: host.logCut })),
    otherLogs: logs,
    memory: memoryOf(() => memoryOfCapture(from, files)),
    // A capture contains its own list of namespaces, so none has to be entered.
    sockets: true,
    unread: host.unread(),
    since: options.baseline,
    recorded: answers.filter((answer) => answer !== null),
  });
  const moment = { bootId: hostOrigin(host, null).bootId, at: of.takenAt };
  const ring = files.bytes(RING);
  // No command reads several texts again.
  presentTriage(
    withRing(answer, options.ring, ring ? [{ name: RING, bytes: ring }] : [], moment),
    options,
    failing,
    isOne ? sourceWords({ ...options, from }) : STDIN,
  );
}

/** Prints the problems of this machine. @throws as hostTriage */
export async function printHostTriage(options: HostTriageOptions, failing: FailOn | null): Promise<void> {
  checkPage(options);
  const moment = { bootId: bootId() };
  presentTriage(withRing(await hostTriage(options), options.ring, [], moment), options, failing, '--live');
}

/**
 * Checks this machine once, without reading kernel memory.
 *
 * @throws {HostError} /proc is not available
 */
export async function hostTriage(options: AnswerOptions & Pick<HostTriageOptions, 'baseline'>): Promise<HostTriage> {
  const [{ liveHost }, { liveSnapshot }, { liveMemory }] = await Promise.all([
    import('../../host/live.js'),
    import('../../capture/write/source.js'),
    import('../memory/live.js'),
  ]);
  const { at: takenAt, host: name } = hostOrigin(liveHost, new Date().toISOString());
  const pageSize = knownPageSize(liveHost) ?? 4096;
  const host = withTablesReadOnce(liveHost);
  const reader = new HostReader(host, pageSize);
  const mappings = await SharedMappings.read(host, readProcesses(reader).all);
  reader.mappings = mappings;
  const settings = { ...options, source: 'counters', host, mappings } as const;
  const memory = await settledMemory(() => liveMemory(settings, () => undefined));
  return triageOf(reader, {
    of: { host: name, takenAt, isCaptured: false },
    warnings: [],
    log: logOf(() => {
      const pieces: Buffer[] = [];
      const isCut = liveSnapshot.log((bytes) => pieces.push(Buffer.from(bytes)));
      return { text: Buffer.concat(pieces).toString('utf8'), isCut };
    }),
    memory,
    sockets: process.geteuid?.() === 0,
    unread: [],
    since: options.baseline,
    recorded: [],
  });
}

async function triageOf(
  reader: HostReader,
  {
    sockets,
    unread,
    since,
    recorded,
    ...parts
  }: Omit<HostParts, 'of' | 'pageSize' | 'found' | 'reader'> & {
    readonly of: Omit<HostParts['of'], 'release'>;
    readonly sockets: boolean;
    /** Files that a capture lacks. */
    readonly unread: readonly HostError[];
    readonly since: string | undefined;
    /** Answers in a capture. */
    readonly recorded: readonly Finding[];
  },
): Promise<HostTriage> {
  const { source, pageSize } = reader;
  const { memory } = parts;
  if (typeof memory !== 'string') reader.memory = memory;
  const now = hostOrigin(source, parts.of.takenAt);
  const baseline = since === undefined ? undefined : await readBaseline(since, now);
  // First: they find the owners that a growth may have.
  const present = await withUmems(reader, hostFindings(reader));
  const findings = [
    // Who names a baseline asks for growth.
    ...(baseline ? sinceBaseline(reader, baseline, now, memory) : []),
    ...present,
    ...(parts.of.pasted ? pastedFindings(parts.of.pasted) : []),
    ...(typeof memory === 'string' ? [] : pipeFindings(reader, memory)),
    ...(await hostSockets(reader, sockets)),
    ...recorded,
  ];
  const isSameBoot = baseline?.origin.bootId != null && baseline.origin.bootId === now.bootId;
  missCaptured(reader, unread);
  const release = optionalText(source, '/proc/sys/kernel/osrelease').trim();
  return triageHost({
    ...parts,
    of: { ...parts.of, release },
    pageSize,
    found: findings,
    reader,
    historyUntil: isSameBoot ? (baseline.origin.uptimeSeconds ?? undefined) : undefined,
  });
}

function sinceBaseline(
  reader: HostReader,
  baseline: Awaited<ReturnType<typeof readBaseline>>,
  now: ReturnType<typeof hostOrigin>,
  memory: MemoryAnswer | string,
): Finding[] {
  return reader.run('baseline', 'growth since the baseline', () => {
    if (typeof memory === 'string') throw new HostError('unreadable', memory);
    return changesSince(baseline, now, memory, reader);
  });
}

function logOf(read: () => { readonly text: string; readonly isCut: boolean }): HostParts['log'] {
  try {
    const { text, isCut } = read();
    const messages = eachCaptured({ captured: null, log: capturedLog(text), cut: isCut, warnings: [] }, {});
    const records: (LogRecord | TextRecord)[] = [];
    for (;;) {
      const { done, value } = messages.next();
      if (done) return { ...value, records };
      records.push(value);
    }
  } catch (error) {
    if (error instanceof HostError) return error.message;
    throw error;
  }
}

function memoryOf(read: () => MemoryAnswer): MemoryAnswer | string {
  try {
    return read();
  } catch (error) {
    if (error instanceof HostError || error instanceof KernelError) return error.message;
    throw error;
  }
}

async function settledMemory(read: () => Promise<MemoryAnswer>): Promise<MemoryAnswer | string> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof HostError || error instanceof KernelError) return error.message;
    throw error;
  }
}
