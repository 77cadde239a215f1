import { eachCaptured } from '../../account/captured-log.js';
import { chosenBy, type LogChoice } from '../../account/log.js';
import { logEnd, messageJson, messageLine, wholeJson } from '../../answers/log/json.js';
import { type LogTextOptions, messageText, textLogWords } from '../../answers/log/text.js';
import { escapeText } from '../../answers/text/escape.js';
import { HostError } from '../../base/errors/host.js';
import { formatJson } from '../../base/json.js';
import { capturedLog } from '../../capture/read/log.js';
import { groupLogs, type LogSource } from '../../host/logs.js';
import { STDIN } from '../../host/text-input.js';
import { type BootChoice, findBoot } from '../../log/boots.js';
import type { TextLogSummary } from '../../log/reader.js';
import type { CaptureOrigin } from '../../records/capture-origin.js';
import type { LogRecord, TextRecord } from '../../records/log-records.js';
import { logFindings } from '../../triage/log/log-findings.js';
import { HeldMessages, incompleteness, PAGE_SIZE } from '../../triage/text.js';
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

/** Prints messages of a log as they come, in the form that the options name. */
class MessagePrinter {
  readonly #options: PrintOptions;
  #waiting: string[] = [];
  listed = 0;

  constructor(options: PrintOptions) {
    this.#options = options;
  }

  /** @param log of which logs it is, where they are text */
  take(record: LogRecord | TextRecord, log?: string): void {
    const { json, ndjson } = this.#options;
    if (json) {
      const text = formatJson(messageJson(record, log), 2).replaceAll('\n', '\n    ');
      this.#waiting.push(this.listed === 0 ? `${JSON_START}\n    ` : ',\n    ', text);
    } else if (ndjson) this.#waiting.push(`${formatJson(messageLine(record, log))}\n`);
    else this.#waiting.push(messageText(record, this.#options));
    this.listed++;
  }

  /** Names the log whose messages follow, as tail does. */
  head(name: string): void {
    const { json, ndjson } = this.#options;
    if (!json && !ndjson) this.#waiting.push(`==> ${escapeText(name)} <==\n`);
  }

  /** Writes what waits. */
  async print(): Promise<void> {
    const pieces = this.#waiting;
    this.#waiting = [];
    if (pieces.length > 0) await printStream([pieces.join('')]);
  }

  /** Writes what stands behind the messages. */
  async end(whole: Parameters<typeof wholeJson>[0], notes: readonly string[]): Promise<void> {
    const { json, ndjson, strict } = this.#options;
    if (json) {
      const rest = formatJson(wholeJson(whole), 2).slice(1);
      this.#waiting.push(this.listed === 0 ? `${JSON_START}],` : '\n  ],', `${rest}\n`);
    } else if (ndjson) this.#waiting.push(`${formatJson(logEnd(whole, this.listed))}\n`);
    await this.print();
    if (!json && !ndjson) {
      for (const note of notes) process.stderr.write(`kdump-mem: ${note}.\n`);
      printWarnings(whole.warnings);
    }
    if (strict && !whole.complete) process.exitCode = EXIT.incomplete;
  }
}

/** `logJson` in parts: of a log that is larger than memory no list of messages is made. */
const JSON_START = '{\n  "schema": "kdump-mem.log/1",\n  "messages": [';

/**
 * Prints the logs that a capture has, as that of a kernel is printed.
 *
 * @throws {HostError} it has none
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
      const log = { name: OWN_LOG, content: Buffer.from(host.logText()) };
      others.unshift({ name: OWN_LOG, files: [log], isPstore: false });
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      missing.push(error.message);
    }
    return printTextLog({ path, logs: others, warnings: missing }, choice, options, of);
  }
  checkBoot(options);
  const log = capturedLog(host.logText());
  const each = eachCaptured({ of, log, cut: host.logCut, warnings }, choice);
  const printer = new MessagePrinter(options);
  for (let next = each.next(); ; next = each.next()) {
    if (next.done) {
      const { overwritten } = next.value;
      const gone = overwritten ? [`${overwritten} older messages were overwritten`] : [];
      return printer.end(next.value, gone);
    }
    printer.take(next.value);
    await printer.print();
  }
}

/**
 * Prints the kernel's messages of logs that are text, as the log of a kernel is printed.
 *
 * @throws {HostError} they cannot be read, or contain no kernel log
 */
export async function printTextLog(
  { path, logs, warnings: missing }: LogInputs,
  choice: LogChoice,
  options: PrintOptions & { readonly boot?: BootChoice },
  captured?: CaptureOrigin,
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
    const { boot, meant } = chosen;
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
      if (!meant(record)) {
        omitted++;
        return;
      }
      if (isFirst && logs.length > 1) printer.head(name);
      isFirst = false;
      printer.take(record, name);
    };
    const { summary, missing: parts } = await readLog(
      source,
      { take, isOpen: true, triggers: /^/ },
      () => printer.print(),
    );
    // Lines without a known form are messages of a kernel where one of them begins a finding.
    if (summary.format === undefined && logFindings(bare.records, PAGE_SIZE).length > 0)
      for (const record of bare.records) print(record);
    else if (summary.format === undefined || summary.messages === 0) return;
    for (const message of incompleteness({ log: summary, boot, missing: parts }))
      warnings.add('unreadable', logs.length > 1 ? `${name}: ${message}` : message);
    if (!isTimed && (choice.since || choice.until))
      warnings.add('unreadable', `${name}: ${UNTIMED}`);
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
  const notes = read.map(
    ({ name, log }) => `${read.length > 1 ? `${escapeText(name)}: ` : ''}${textLogWords(log)}`,
  );
  const list = warnings.list();
  const whole = { logs: read, omitted, complete: list.length === 0, warnings: list };
  await printer.end(captured ? { ...whole, captured } : whole, notes);
}

/** A sosreport's `dmesg`. */
const OWN_LOG = 'sos_commands/kernel/dmesg';

const UNTIMED = 'no kernel timestamps, so --since and --until were ignored';

/** Which messages of a log are asked for; undefined: it does not have the boot. */
async function chosenOf(
  source: LogSource,
  choice: LogChoice,
  asked: BootChoice | undefined,
): Promise<{ readonly boot: number | undefined; meant(record: TextRecord): boolean } | undefined> {
  const isFromEnd = [choice.since, choice.until].some((moment) => moment?.from === 'end');
  const isFirst = asked && 'number' in asked && asked.number > 0;
  if (!isFromEnd && (asked === undefined || isFirst)) {
    const boot = asked && 'number' in asked ? asked.number : undefined;
    const meant = chosenBy(choice, 0n);
    return { boot, meant: (record) => (boot ?? record.boot) === record.boot && meant(record) };
  }
  if (source.name === STDIN)
    throw new UsageError(
      'standard input can be read only once, but its last boot or newest message must be found first',
      'Save it to a file.',
    );
  const { summary } = await readLog(source, { take: () => undefined, isOpen: true, triggers: /^/ });
  const boot = findBoot(asked ?? { number: 0 }, summary);
  if (boot === undefined) return undefined;
  const meant = chosenBy(choice, summary.boots[boot - 1]?.newest ?? 0n);
  return { boot, meant: (record) => record.boot === boot && meant(record) };
}
