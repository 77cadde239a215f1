import { HostError } from '../host/error.js';
import { isText, openText, STDIN } from '../host/text-input.js';
import { TextLogReader } from '../log/reader.js';
import type { TextRecord } from '../log-records.js';
import { type LogTextOptions, textLogWords, textMessage } from '../report/log/text.js';
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

/** The error of a file without a message of the kernel. */
export function noLog(file: string): HostError {
  const next = 'Name a log of dmesg, the journal or syslog, or a dump.';
  return new HostError('unreadable', `${file}: contains no kernel log`, { next });
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
