import { chosenBy, eachCaptured, type LogChoice, UNTIMED } from '../../account/log.js';
import {
  type LogTextOptions,
  logEnd,
  messageJson,
  messageLine,
  messageText,
  textLogJson,
  textLogWords,
} from '../../answers/log/render.js';
import { HostError } from '../../base/errors.js';
import { escapeText } from '../../base/escape.js';
import { formatJson } from '../../base/util.js';
import { capturedLog } from '../../capture/read/log.js';
import type { Captured } from '../../contracts/common.js';
import type { LogRest } from '../../contracts/log.js';
import { groupLogs, type LogSource } from '../../host/logs.js';
import { STDIN } from '../../host/text-input.js';
import { type BootChoice, findBoot } from '../../log/boots.js';
import type { TextLogSummary } from '../../log/reader.js';
import type { LogRecord, TextRecord } from '../../records/log-records.js';
import { logFindings } from '../../triage/log/log-findings.js';
import { HeldMessages, incompleteness, isNoLog, PAGE_SIZE } from '../../triage/text.js';
import { Warnings } from '../../walk/warnings.js';
import { capturedAt } from '../kit/captured-source.js';
import { EXIT, UsageError } from '../kit/failure.js';
import { checkBoot } from '../kit/from-argument.js';
import { type CaptureInputs, type LogInputs, noLog, readLog } from '../kit/log-inputs.js';
import { printStream, printWarnings } from '../kit/output.js';

interface PrintOptions extends LogTextOptions {
  readonly json?: true;
  readonly ndjson?: true;
  readonly strict?: true;
}

/** Prints log messages as they arrive, in the requested format. */
class MessagePrinter {
  readonly #options: PrintOptions;
  #waiting: string[] = [];
  listed = 0;

  constructor(options: PrintOptions) {
    this.#options = options;
  }

  /** @param log name of the text log that contains the message */
  take(record: LogRecord | TextRecord, log?: string): void {
    const { json, ndjson } = this.#options;
    if (json) {
      const text = formatJson(messageJson(record, log), 2).replaceAll('\n', '\n    ');
      this.#waiting.push(this.listed === 0 ? `${JSON_START}\n    ` : ',\n    ', text);
    } else if (ndjson) this.#waiting.push(`${formatJson(messageLine(record, log))}\n`);
    else this.#waiting.push(messageText(record, this.#options));
    this.listed++;
  }

  /** Prints the name of the log whose messages follow, as tail does. */
  head(name: string): void {
    const { json, ndjson } = this.#options;
    if (!json && !ndjson) this.#waiting.push(`==> ${escapeText(name)} <==\n`);
  }

  /** Writes the buffered output. */
  async print(): Promise<void> {
    const pieces = this.#waiting;
    this.#waiting = [];
    if (pieces.length > 0) await printStream([pieces.join('')]);
  }

  /** Writes the output after the messages. */
  async end(answer: LogRest, notes: readonly string[]): Promise<void> {
    const { json, ndjson, strict } = this.#options;
    if (json) {
      const rest = formatJson(answer, 2).slice(1);
      this.#waiting.push(this.listed === 0 ? `${JSON_START}],` : '\n  ],', `${rest}\n`);
    } else if (ndjson) this.#waiting.push(`${formatJson(logEnd(answer, this.listed))}\n`);
    await this.print();
    if (!json && !ndjson) {
      for (const note of notes) process.stderr.write(`kdump-mem: ${note}.\n`);
      printWarnings(answer.warnings);
    }
    if (strict && !answer.complete) process.exitCode = EXIT.incomplete;
  }
}

/**
 * Start of `logJson`, which is printed in parts: a log may be larger than memory, so no list of messages is
 * built.
 */
const JSON_START = '{\n  "schema": "kdump-mem.log/1",\n  "messages": [';

/**
 * Prints the logs in a capture in the format of a kernel's log.
 *
 * @throws {HostError} it contains none
 */
export async function printCapturedLog(
  { from: path, files }: CaptureInputs,
  choice: LogChoice,
  options: PrintOptions & { readonly boot?: BootChoice },
): Promise<void> {
  const { host, of, warnings } = capturedAt(files, 'last');
  const others = groupLogs(files.logs());
  if (others.length > 0) {
    const missing = warnings.map(({ message }) => message);
    try {
      const log = { name: host.logName, content: Buffer.from(host.logText()) };
      others.unshift({ name: host.logName, files: [log], isPstore: false });
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      missing.push(error.message);
    }
    return printTextLog({ path, logs: others, warnings: missing }, choice, options, of);
  }
  checkBoot(options);
  const log = capturedLog(host.logText());
  const messages = eachCaptured({ captured: of, log, cut: host.logCut, warnings }, choice);
  const printer = new MessagePrinter(options);
  for (let next = messages.next(); ; next = messages.next()) {
    if (next.done) {
      const { overwritten } = next.value;
      const lost = overwritten ? [`${overwritten} older messages were overwritten`] : [];
      return printer.end(next.value, lost);
    }
    printer.take(next.value);
    await printer.print();
  }
}

/**
 * Prints the kernel messages in text logs in the format of a kernel's log.
 *
 * @throws {HostError} they cannot be read, or contain no kernel log
 */
export async function printTextLog(
  { path, logs, warnings: missing }: LogInputs,
  choice: LogChoice,
  options: PrintOptions & { readonly boot?: BootChoice },
  captured: Captured | null = null,
): Promise<void> {
  const warnings = new Warnings();
  for (const message of missing) warnings.add('unreadable', message);
  const printer = new MessagePrinter(options);
  const read: { name: string; files: string[]; log: TextLogSummary }[] = [];
  let [omitted, lacksBoot] = [0, false];
  let failure: HostError | undefined;
  const printOne = async (source: LogSource): Promise<void> => {
    const { name } = source;
    const chosen = await chosenOf(source, choice, options.boot);
    if (chosen === undefined) {
      lacksBoot = true;
      return;
    }
    const { boot, meant: isSelected } = chosen;
    let [isFirst, isTimed] = [true, false];
    const bare = new HeldMessages();
    let isBare = true;
    const take = (record: TextRecord): void => {
      if (record.bare && isBare) bare.take(record);
      isBare &&= record.bare;
      if (!record.bare) print(record);
    };
    const print = (record: TextRecord): void => {
      isTimed ||= record.timestamp !== null;
      if (!isSelected(record)) {
        omitted++;
        return;
      }
      if (isFirst && logs.length > 1) printer.head(name);
      isFirst = false;
      printer.take(record, name);
    };
    const { summary, missing: parts } = await readLog(source, { take, isOpen: true, triggers: /^/ }, () =>
      printer.print(),
    );
    // Lines without a known format count as kernel messages if one of them is known, or begins a finding.
    const isUnknown = summary.format === undefined;
    if (isNoLog(summary, isUnknown ? logFindings(bare.records, PAGE_SIZE) : [])) return;
    if (isUnknown) for (const record of bare.records) print(record);
    for (const message of incompleteness({ log: summary, boot, missing: parts }))
      warnings.add('unreadable', logs.length > 1 ? `${name}: ${message}` : message);
    if (!isTimed && (choice.since || choice.until)) warnings.add('unreadable', `${name}: ${UNTIMED}`);
    read.push({ name, files: source.files.map((file) => file.name), log: summary });
  };
  for (const source of logs)
    try {
      await printOne(source);
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      failure ??= error;
      warnings.add('unreadable', error.message);
    }
  if (read.length === 0) {
    if (failure) throw failure;
    throw lacksBoot
      ? new UsageError('the log does not contain this boot', 'Omit --boot to see all boots.')
      : noLog(path);
  }
  const notes = read.map(({ name, log }) => `${read.length > 1 ? `${escapeText(name)}: ` : ''}${textLogWords(log)}`);
  const list = warnings.list();
  const lost = { overwritten: null, noRoom: null, complete: list.length === 0, warnings: list };
  const source = captured === null ? 'text' : 'capture';
  await printer.end({ source, kernel: null, captured, logs: read.map(textLogJson), omitted, ...lost }, notes);
}

/** Returns a filter for the messages of a log; undefined if the log lacks the boot. */
async function chosenOf(
  source: LogSource,
  choice: LogChoice,
  requested: BootChoice | undefined,
): Promise<{ readonly boot: number | undefined; meant(record: TextRecord): boolean } | undefined> {
  const isFromEnd = [choice.since, choice.until].some((moment) => moment?.from === 'end');
  const isFirst = requested && 'number' in requested && requested.number > 0;
  if (!isFromEnd && (requested === undefined || isFirst)) {
    const boot = requested && 'number' in requested ? requested.number : undefined;
    const meant = chosenBy(choice, 0n);
    return { boot, meant: (record) => (boot ?? record.boot) === record.boot && meant(record) };
  }
  if (source.name === STDIN)
    throw new UsageError(
      'standard input can be read only once, but its last boot or newest message must be found first',
      'Save it to a file.',
    );
  const { summary } = await readLog(source, { take: () => undefined, isOpen: true, triggers: /^/ });
  const boot = findBoot(requested ?? { number: 0 }, summary);
  if (boot === undefined) return undefined;
  const meant = chosenBy(choice, summary.boots[boot - 1]?.newest ?? 0n);
  return { boot, meant: (record) => record.boot === boot && meant(record) };
}
