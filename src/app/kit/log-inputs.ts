import { statSync } from 'node:fs';
import { HostError, isHostError } from '../../base/errors/host.js';
import { KernelError, ReadError } from '../../base/errors/kernel.js';
import { type CapturedFiles, readCapture } from '../../capture/read/files.js';
import { findLogs, groupLogs, type LogSource, logBeside, openLog } from '../../host/logs.js';
import { isText, STDIN } from '../../host/text-input.js';
import { type MessageSink, TextLogReader, type TextLogSummary } from '../../log/reader.js';
import { findDumps } from '../../triage/batch/search.js';
import { UsageError } from './failure.js';
import type { SourceOptions } from './kernel-source.js';

/** Logs that are text. */
export interface LogInputs {
  /** What the command line names. */
  readonly path: string;
  readonly logs: readonly LogSource[];
  /** What could not be looked at. */
  readonly warnings: readonly string[];
}

/** What a command is to read: logs that are text, a capture, or (undefined) a dump. */
export type Inputs = LogInputs | CaptureInputs | undefined;

/** A capture of a host. */
export interface CaptureInputs {
  readonly from: string;
  readonly files: CapturedFiles;
}

/** What the words of a command line name, if it is no dump: text, or a folder without a dump. */
export async function inputsAmong(words: readonly string[] | undefined): Promise<Inputs> {
  const [first, ...others] = words ?? [];
  if (first === undefined) return undefined;
  if (words?.includes(STDIN) && others.length > 0)
    throw new UsageError('standard input cannot be combined with other files');
  if (others.length === 0 && isFolder(first))
    return findDumps([first]).dumps.length > 0 ? undefined : inputsFrom(first);
  const logs: LogSource[] = [];
  for (const word of words ?? []) {
    if (!(await isText(word))) return undefined;
    logs.push({ name: word, files: [{ name: word, content: word }], isPstore: false });
  }
  return { path: words?.join(' ') ?? '', logs, warnings: [] };
}

/**
 * The log beside a dump that cannot be read.
 *
 * @throws the error itself, where there is no such log
 */
export function inputsBeside(error: unknown, { vmcore, live, engine }: SourceOptions): LogInputs {
  const [dump, ...others] = live ? [] : findDumps(vmcore ?? []).dumps;
  const isOfDump = error instanceof KernelError || error instanceof ReadError;
  const isNative = engine === 'auto' || engine === 'native';
  const log = isOfDump && isNative && dump && others.length === 0 && logBeside(dump.dump);
  if (!log) throw error;
  const why = `${error.message}: everything here is from ${log.name}, the log beside the dump`;
  return { path: dump.dump, logs: [log], warnings: [why] };
}

/**
 * What a folder or an archive is: a capture, or nothing but logs.
 *
 * @throws {HostError} neither
 */
export async function inputsFrom(path: string): Promise<NonNullable<Inputs>> {
  let files: CapturedFiles | undefined;
  try {
    files = await readCapture(path, { logs: true });
  } catch (error) {
    if (!(isHostError(error, 'not-a-capture') && isFolder(path))) throw error;
  }
  if (files && !files.hasLogsAlone) return { from: path, files };
  const found =
    files && !isFolder(path)
      ? { logs: groupLogs(files.logs()), warnings: files.damage }
      : await findLogs(path);
  if (found.logs.length > 0) return { path, ...found };
  const why = found.warnings.length > 0 ? ` (${found.warnings[0]})` : '';
  throw noLog(`${path}${why}`);
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** The error of a text without a message of the kernel. */
export function noLog(path: string): HostError {
  const next = 'Name a log of dmesg, the journal or syslog, a folder with logs, or a dump.';
  return new HostError('unreadable', `${path}: contains no kernel log`, { next });
}

/** What was read of a log, and what is missing of it. */
export interface ReadSummary {
  readonly summary: TextLogSummary;
  readonly missing: readonly string[];
}

/** Reads a log as far as it goes. @throws {HostError} nothing of it can be read */
export async function readLog(
  source: LogSource,
  sink: MessageSink,
  afterPart?: () => Promise<void>,
): Promise<ReadSummary> {
  const reader = new TextLogReader(sink);
  const missing: string[] = [];
  for await (const part of openLog(source, (message) => void missing.push(message))) {
    reader.push(part);
    await afterPart?.();
  }
  return { summary: reader.end(), missing };
}
