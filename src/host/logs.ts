import { lstatSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { HostError } from '../base/errors.js';
import { LogFormat, SNIFFED } from '../log/format.js';
import { isJoinedRecords, pstoreText } from '../log/pstore.js';
import { peeked } from './decompress.js';
import { FOLDER_SECONDS, LimitedStream } from './recognise.js';
import { isText, openText } from './text-input.js';

/** A file that contains a log, or a part of one. */
export interface LogFile {
  /** Printed name: relative to the folder or archive in which it was found. */
  readonly name: string;
  /** Its path, or its bytes if it is a member of an archive. */
  readonly content: string | Buffer;
  /** Limit of all files of a folder. */
  readonly within?: LimitedStream;
}

/** A log: one file, or several consecutive ones. */
export interface LogSource {
  readonly name: string;
  /** Oldest first; pstore records in the order found. */
  readonly files: readonly LogFile[];
  readonly isPstore: boolean;
}

/** Maximum depth of nested folders, and maximum number of entries, in a search for logs. */
const MAX_DEPTH = 8;
const MAX_ENTRIES = 20_000;

/** A pstore record: `dmesg-efi-170123456700001`, `dmesg-ramoops-0`, `.enc.z` if compressed. */
const RECORD = /(?:^|\/)dmesg-[a-z_]+-\d{1,20}(?:\.enc\.z)?$/;

/** A rotated log: logrotate appends a number (the largest is the oldest) or a date. */
const ROTATED =
  /^(?<base>(?:.*\/)?(?:messages|syslog|dmesg|[^/]*\.log))(?:\.(?<number>\d{1,3})|-(?<date>\d{8}(?:-\d{1,10})?))(?:\.(?:gz|xz|bz2|zst))?$/;

/** Maximum size of a file with records, which is held in memory: a backend has less. Bytes. */
const MAX_RECORDS = 64 << 20;

/** Maximum length of what precedes the messages of a record. */
const HEADERS = 256;

/** A limit on the time to read the files of a folder, from now on. */
export function folderLimit(seconds = FOLDER_SECONDS): LimitedStream {
  return new LimitedStream({ bytes: Number.POSITIVE_INFINITY, seconds });
}

/** Groups files that belong to one log: rotated ones in order, all pstore records in a folder. */
export function groupLogs(files: readonly LogFile[]): LogSource[] {
  const logs = new Map<string, LogFile[]>();
  const names = new Set(files.map(({ name }) => name));
  const records = files.filter(({ name }) => RECORD.test(name)).map(({ name }) => folderOf(name));
  for (const file of [...files].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const { name } = file;
    // Of two journals of one boot, the one without explanations is used; systemd-pstore keeps records
    // next to their text.
    if (name.includes('_--catalog') && names.has(name.replace('_--catalog', ''))) continue;
    if (/(?:^|\/)dmesg\.txt$/.test(name) && records.some((at) => at.startsWith(folderOf(name)))) continue;
    const key = RECORD.test(name) ? `${folderOf(name)}dmesg-*` : baseOf(name);
    logs.set(key, [...(logs.get(key) ?? []), file]);
  }
  return [...logs].map(([key, parts]) => {
    const isPstore = key.endsWith('dmesg-*');
    const [only, ...rest] = parts;
    const name = only && rest.length === 0 && !isPstore ? only.name : key;
    return { name, files: parts.sort((a, b) => ageOf(b.name) - ageOf(a.name)), isPstore };
  });
}

function folderOf(name: string): string {
  return name.slice(0, name.lastIndexOf('/') + 1);
}

function baseOf(name: string): string {
  return ROTATED.exec(name)?.groups?.base ?? name;
}

/** Larger for older parts of a log. */
function ageOf(name: string): number {
  const { number, date } = ROTATED.exec(name)?.groups ?? {};
  if (number !== undefined) return Number(number) + 1;
  return date === undefined ? 0 : 1 / Number(date.replace('-', '.'));
}

/** Logs in a folder, and the entries that could not be read. */
export interface FoundLogs {
  readonly logs: readonly LogSource[];
  readonly warnings: readonly string[];
}

/**
 * Finds files with kernel logs in a folder and below it, by their content. Symlinks are not followed.
 *
 * @throws {HostError} the folder cannot be listed
 */
export async function findLogs(folder: string, within = folderLimit()): Promise<FoundLogs> {
  const files: LogFile[] = [];
  const warnings: string[] = [];
  let budget = MAX_ENTRIES;
  const walk = async (inside: string, depth: number): Promise<void> => {
    for (const name of listed(join(folder, inside))) {
      if (--budget < 0 || within.isOver) return;
      const below = inside === '' ? name : `${inside}/${name}`;
      const content = join(folder, below);
      try {
        const stat = lstatSync(content);
        if (stat.isDirectory()) {
          if (depth < MAX_DEPTH) await walk(below, depth + 1);
          else warnings.push(`${below}: not searched (${MAX_DEPTH} folders deep)`);
        } else if (/\.journal~?$/.test(name))
          warnings.push(`${below}: unsupported (export it with journalctl -k -o json --file)`);
        else if (stat.isFile() && !OWN_ANSWER.test(name) && (RECORD.test(below) || (await isLog(content))))
          files.push({ name: below, content, within });
      } catch (error) {
        warnings.push(`${below}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  };
  // An unreadable top folder is an error, an unreadable subfolder a warning.
  listed(folder);
  await walk('', 0);
  if (budget < 0) warnings.push(`only the first ${MAX_ENTRIES} files were searched`);
  if (within.exceeded !== null) warnings.push(`the search stopped after ${within.exceeded}: logs may be missing`);
  return { logs: groupLogs(files), warnings };
}

/** Logs next to a dump, the log of the capture kernel last: it may report why the dump is incomplete. */
export function logsBeside(dump: string): LogSource[] {
  const content = join(dirname(dump), 'kexec-dmesg.log');
  const captured = lstatSync(content, { throwIfNoEntry: false })?.isFile() ? [{ name: content, content }] : [];
  return [logBeside(dump), ...groupLogs(captured)].filter((log) => log !== undefined);
}

/**
 * Finds the log that kdump wrote next to a dump: `vmcore-dmesg.txt`, `dmesg.txt`, on Debian
 * `dmesg.DATE` next to `dump.DATE`.
 *
 * @param dump its path; a folder with several dumps contains their logs too
 */
export function logBeside(dump: string): LogSource | undefined {
  const base = basename(dump);
  if (!/^(?:vmcore|dump)\b/.test(base)) return undefined;
  const [date] = /\d{12}(?=\.|$)/.exec(base) ?? [];
  const names = listed(dirname(dump)).filter((name) => KDUMP_LOG.test(name));
  const name =
    names.find((name) => date !== undefined && name.endsWith(`.${date}`)) ??
    names.find((file) => file.endsWith('.txt') && !file.includes('incomplete')) ??
    names.find((file) => date === undefined || file.endsWith('.txt'));
  if (name === undefined) return undefined;
  const path = join(dirname(dump), name);
  return { name: path, files: [{ name: path, content: path }], isPstore: false };
}

/** Names of such logs. */
const KDUMP_LOG = /^(?:vmcore-dmesg(?:-incomplete)?|dmesg)\.(?:txt|\d{12})$/;
/** The log of the capture kernel, which kdumpctl saves; the console before the last boot, by ramoops. */
const OTHER_CRASH_LOG = /^(?:kexec-dmesg\.log|console-[a-z]+(?:-\d{1,20})?)$/;
/** Debian has one log for each dump, with its time. */
const DATED = /\.\d{12}$/;

/** Files that `triage --beside` writes: another file is their subject. */
export const OWN_ANSWER = /(?:^|\.)kdump-mem\.(?:txt|html|json|extract)(?:\.[0-9a-f]{12}\.partial)?$/;

/** Whether the name is that of a log that a crash leaves. @param name its path, or the last part of it */
export function isCrashLog(name: string): boolean {
  const base = basename(name);
  return KDUMP_LOG.test(base) || OTHER_CRASH_LOG.test(base) || RECORD.test(base);
}

/** Groups the names of a folder that are logs of one crash. Those without a time are of one crash. */
export function crashLogs(names: readonly string[]): (readonly string[])[] {
  const logs = names
    .filter(isCrashLog)
    .sort((a, b) => Number(OTHER_CRASH_LOG.test(a)) - Number(OTHER_CRASH_LOG.test(b)));
  const others = logs.filter((name) => !DATED.test(name));
  const dated = logs.filter((name) => DATED.test(name)).map((name) => [name]);
  return others.length > 0 ? [...dated, others] : dated;
}

function listed(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const denied = code === 'EACCES' || code === 'EPERM';
    const message = `${folder}: ${denied ? 'permission denied' : `cannot be listed (${code})`}`;
    throw new HostError(denied ? 'denied' : 'unreadable', message, { cause });
  }
}

/** Whether a file is text in a log format, or with lines that look like a kernel's. */
export async function isLog(path: string): Promise<boolean> {
  if (!(await isText(path))) return false;
  let head = '';
  for await (const part of openText(path)) {
    head += part.toString('latin1');
    if (head.length >= SNIFFED) break;
  }
  const { form, looksLikeKernel } = new LogFormat().sniff(head.slice(0, SNIFFED));
  return form !== undefined || looksLikeKernel;
}

/**
 * The text of a log in pieces.
 *
 * @param warn receives a message for each missing part
 * @throws {HostError} nothing can be read
 */
export async function* openLog(
  { name, files, isPstore }: LogSource,
  warn: (message: string) => void,
): AsyncGenerator<Buffer> {
  if (isPstore || (await isJoined(files))) {
    yield await openRecords(name, files, warn);
    return;
  }
  let isEmpty = true;
  let failure: HostError | undefined;
  for (const file of files) {
    let last: number | undefined;
    try {
      for await (const part of partsOf(file)) {
        isEmpty &&= part.length === 0;
        last = part.at(-1) ?? last;
        yield part;
      }
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      failure ??= error;
      warn(error.message);
    }
    if (last !== undefined && last !== 10 && files.length > 1) yield Buffer.from('\n');
  }
  if (isEmpty && failure) throw failure;
}

/** Whether a log is the text that systemd-pstore makes of records. */
async function isJoined([file, ...others]: readonly LogFile[]): Promise<boolean> {
  if (!file || others.length > 0 || basename(file.name) !== 'dmesg.txt') return false;
  try {
    const { head, all } = await peeked(partsOf(file), HEADERS);
    await all.return(undefined);
    return isJoinedRecords(head.toString('latin1', 0, HEADERS));
  } catch {
    // Reported when it is read.
    return false;
  }
}

/** @throws {HostError} `unreadable`: not all of it could be read */
async function* partsOf({ name, content, within }: LogFile): AsyncGenerator<Buffer> {
  const parts = typeof content === 'string' ? openText(content) : openText(name, { content });
  if (!within) return yield* parts;
  if (!within.isOver) yield* within.of(parts);
  if (within.exceeded === null) return;
  const next = 'Name the log alone: a file has no limit.';
  throw new HostError('unreadable', `${name}: incomplete (reading stopped after ${within.exceeded})`, { next });
}

async function openRecords(
  folder: string,
  files: readonly LogFile[],
  warn: (message: string) => void,
): Promise<Buffer> {
  const records: { name: string; content: Buffer }[] = [];
  let failure: HostError | undefined;
  for (const file of files) {
    const parts: Buffer[] = [];
    try {
      let bytes = 0;
      for await (const part of partsOf(file)) {
        parts.push(part);
        bytes += part.length;
        if (bytes > MAX_RECORDS) break;
      }
      if (bytes > MAX_RECORDS) warn(`${file.name}: incomplete (more than ${MAX_RECORDS >> 20} MiB of pstore records)`);
      records.push({ name: file.name, content: Buffer.concat(parts) });
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      failure ??= error;
      warn(error.message);
    }
  }
  if (records.length === 0 && failure) throw failure;
  const { text, missing, unreadable } = pstoreText(records);
  if (missing.length > 0) warn(`${folder}: missing ${missing.join(', ')}`);
  const why = (record: string) =>
    `${record}: ${record.endsWith('.enc.z') ? 'compressed pstore record (corrupt, or not by deflate)' : 'malformed pstore record'}`;
  if (text === '' && unreadable[0] !== undefined) throw new HostError('unreadable', why(unreadable[0]));
  for (const record of unreadable) warn(why(record));
  return Buffer.from(text);
}
