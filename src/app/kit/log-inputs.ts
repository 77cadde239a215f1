import { statSync } from 'node:fs';
import { HostError, isHostError, KernelError, ReadError } from '../../base/errors.js';
import { inflect } from '../../base/size.js';
import type { CapturedFiles } from '../../capture/read/captured-files.js';
import { readCapture } from '../../capture/read/files.js';
import type { WantedParts } from '../../capture/read/manifest.js';
import { PASTED } from '../../capture/read/pasted.js';
import { pastedFiles } from '../../capture/read/saved-texts.js';
import { findLogs, groupLogs, type LogSource, logsBeside, openLog } from '../../host/logs.js';
import { heldInput, isText, STDIN } from '../../host/text-input.js';
import { type MessageSink, TextLogReader, type TextLogSummary } from '../../log/reader.js';
import { findDumps } from '../../triage/batch/search.js';
import { UsageError } from './failure.js';
import { type SourceOptions, usesCrash } from './kernel-source.js';

/** Text logs to read. */
export interface LogInputs {
  /** The path as given on the command line. */
  readonly path: string;
  readonly logs: readonly LogSource[];
  /** Warnings about unreadable inputs. */
  readonly warnings: readonly string[];
}

/** Input of a command: text logs, a capture, or (undefined) a dump. */
export type Inputs = LogInputs | CaptureInputs | undefined;

/** A capture of a host to read. */
export interface CaptureInputs {
  readonly from: string;
  readonly files: CapturedFiles;
}

/** Returns the input that the arguments name, unless it is a dump: text, or a directory without a dump. */
export async function inputsAmong(
  words: readonly string[] | undefined,
  { pasted = false }: { readonly pasted?: boolean } = {},
): Promise<Inputs> {
  const [first, ...others] = words ?? [];
  if (first === undefined) return undefined;
  if (words?.includes(STDIN) && others.length > 0)
    throw new UsageError('standard input cannot be combined with other files');
  if (others.length === 0 && isFolder(first))
    return findDumps([first]).dumps.length > 0 ? undefined : inputsFrom(first);
  const logs: LogSource[] = [];
  const held = pasted && first === STDIN ? await heldInput(PASTED) : undefined;
  const isWhole = first !== STDIN || held !== undefined;
  const files = pasted && isWhole ? await pastedFiles(words ?? [], held) : undefined;
  if (files) return { from: words?.join(' ') ?? '', files };
  for (const word of words ?? []) {
    if (!(await isText(word))) return undefined;
    logs.push({ name: word, files: [{ name: word, content: held ?? word }], isPstore: false });
  }
  return { path: words?.join(' ') ?? '', logs, warnings: [] };
}

/**
 * Returns the log next to a dump that cannot be read.
 *
 * @throws the given error if there is no such log
 */
export function inputsBeside(error: unknown, options: SourceOptions): LogInputs {
  const { vmcore, live } = options;
  const [dump, ...others] = live ? [] : findDumps(vmcore ?? []).dumps;
  const isOfDump = error instanceof KernelError || error instanceof ReadError;
  const logs = isOfDump && !usesCrash(options) && dump && others.length === 0 ? logsBeside(dump.dump) : [];
  if (!isOfDump || !dump || logs.length === 0) throw error;
  const names = logs.map(({ name }) => name).join(' and ');
  const why = `${error.message}: everything here is from ${names}, the ${inflect(logs.length, 'log')} beside the dump`;
  return { path: dump.dump, logs, warnings: [why] };
}

/**
 * Returns the contents of a directory or archive: a capture, or only logs.
 *
 * @throws {HostError} neither
 */
export async function inputsFrom(path: string, wanted: WantedParts = {}): Promise<NonNullable<Inputs>> {
  let files: CapturedFiles | undefined;
  try {
    files = await readCapture(path, { ...wanted, logs: true });
  } catch (error) {
    // Logs of several hosts are no answer about them: that error says what to name.
    if (!(isHostError(error, 'not-a-capture') && error.next === undefined && isFolder(path))) throw error;
  }
  if (files && !files.hasLogsAlone) return { from: path, files };
  const logs =
    files && !isFolder(path) ? { logs: groupLogs(files.logs()), warnings: files.damage } : await findLogs(path);
  if (logs.logs.length > 0) return { path, ...logs };
  const why = logs.warnings.length > 0 ? ` (${logs.warnings[0]})` : '';
  throw noLog(`${path}${why}`);
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Creates the error for a text without a kernel message. */
export function noLog(path: string): HostError {
  const next =
    'Name a dump, a snapshot, a kernel log (dmesg, journal, syslog), a folder with logs, or text of docs/pasted.md.';
  return new HostError('unreadable', `${path}: contains no kernel log`, { next });
}

/** Summary of a log, and its missing parts. */
export interface ReadSummary {
  readonly summary: TextLogSummary;
  readonly missing: readonly string[];
}

/** Reads as much of a log as possible. @throws {HostError} none of it can be read */
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
