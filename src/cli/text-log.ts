import { HostError } from '../host/error.js';
import { isText, openText, STDIN } from '../host/text-input.js';
import { type MessageSink, TextLogReader, type TextLogSummary } from '../log/reader.js';
import type { TextRecord } from '../log-records.js';
import { type LogTextOptions, textMessage } from '../report/log/text.js';
import { textLogWords, textTriageJson, textTriageText } from '../report/triage/text-log.js';
import { type FailOn, isFailing } from '../triage/fail-on.js';
import { LogFindings } from '../triage/log/log-findings.js';
import { triageText } from '../triage/text.js';
import { type AnswerOptions, tell } from './answer.js';
import { EXIT, UsageError } from './failure.js';
import { printStream } from './output.js';

/** The file that a command is to read, if it is text and no dump; undefined: it is none. */
export async function textAmong(files: readonly string[] | undefined): Promise<string | undefined> {
  const [file, ...others] = files ?? [];
  if (file === undefined) return undefined;
  if (others.length === 0) return (await isText(file)) ? file : undefined;
  if (files?.includes(STDIN)) throw new UsageError('standard input is read alone: name no other');
  return undefined;
}

/** The page size is not printed: findings in pages are of the most common one. */
const PAGE_SIZE = 4096;

/**
 * What was the matter, by a log that is text.
 *
 * @throws {HostError} it cannot be read, or contains no kernel log
 */
export async function triageTextLog(
  file: string,
  options: AnswerOptions & { readonly verbose?: true },
  failing: FailOn | null,
): Promise<void> {
  const findings = new LogFindings(PAGE_SIZE);
  const { summary, why } = await readAll(file, findings);
  const answer = triageText(file, summary, findings.finish(), why);
  if (summary.format === undefined && answer.findings.length === 0)
    throw why === undefined ? noLog(file) : new HostError('unreadable', why);
  tell(answer, options, {
    toJson: textTriageJson,
    toText: (found, width) =>
      textTriageText(found, { width, verbose: options.verbose, source: file }),
  });
  if (failing && answer.findings.some((finding) => isFailing(failing, finding)))
    process.exitCode = EXIT.differs;
}

function noLog(file: string): HostError {
  const next = 'Name a log of dmesg, the journal or syslog, or a dump.';
  return new HostError('unreadable', `${file}: contains no kernel log`, { next });
}

/** Reads as far as it goes. */
async function readAll(
  file: string,
  sink: MessageSink,
): Promise<{ summary: TextLogSummary; why?: string }> {
  const reader = new TextLogReader(sink);
  try {
    for await (const part of openText(file)) reader.push(part);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    const summary = reader.end();
    if (summary.bytes === 0) throw error;
    return { summary, why: error.message };
  }
  return { summary: reader.end() };
}

interface TextLogOptions extends LogTextOptions {
  readonly level?: ReadonlySet<number>;
  readonly facility?: ReadonlySet<number>;
  readonly strict?: true;
}

/**
 * Prints the kernel's messages of a text, as the log of a kernel is printed.
 *
 * @throws {HostError} it cannot be read, or contains no kernel log
 */
export async function printTextLog(file: string, options: TextLogOptions): Promise<void> {
  const { level, facility } = options;
  let waiting: TextRecord[] = [];
  const isMeant = (record: TextRecord): boolean =>
    !record.bare &&
    (!level || record.level === null || level.has(record.level)) &&
    (!facility || record.facility === null || facility.has(record.facility));
  const take = (record: TextRecord): void => void (isMeant(record) && waiting.push(record));
  const reader = new TextLogReader({ take, isOpen: true, triggers: /^/ });
  const print = async (): Promise<void> => {
    const records = waiting;
    waiting = [];
    await printStream(records.map((record) => textMessage(record, options)));
  };
  for await (const part of openText(file)) {
    reader.push(part);
    await print();
  }
  const summary = reader.end();
  await print();
  if (summary.format === undefined) throw noLog(file);
  process.stderr.write(`kdump-mem: ${textLogWords(summary)}.\n`);
  if (options.strict && !summary.fromBoot) process.exitCode = EXIT.incomplete;
}
