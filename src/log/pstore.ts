import { constants, inflateRawSync, inflateSync } from 'node:zlib';

/** A pstore record: a part of the log that the kernel saved when it crashed. */
export interface PstoreRecord {
  /** `dmesg-efi-170123456700001`, `dmesg-ramoops-0`. */
  readonly name: string;
  readonly content: Buffer;
}

/**
 * Header before the messages: `Panic#1 Part3` (`pstore_dump`, fs/pstore/platform.c). Part 1 is the newest.
 */
const HEADER = /^(?:====\d+\.\d+(?:-[CD])?\n)?(\w{1,32})#(\d{1,9}) Part(\d{1,9})\n/;

/**
 * Beginning of each record in `dmesg.txt` of systemd-pstore, after the record's name where systemd adds it. It joins by
 * name, so that records of two dumps of one second alternate.
 */
const EACH = /^(?:(dmesg-[a-z_]+-\d{1,20}):\n)?(?=(?:====\d+\.\d+(?:-[CD])?\n)?\w{1,32}#\d{1,9} Part\d{1,9}\n)/m;

/** Whether a text begins as records of pstore, joined by systemd-pstore. */
export function isJoinedRecords(head: string): boolean {
  return head.search(EACH) === 0;
}

/** File name with the number that the backend adds: `efi` combines the time, the part and the count. */
const NAME = /(?:^|\/)dmesg-[a-z_]+-(\d{1,20})(?:\.enc\.z)?$/;

/** The messages that a kernel prints before it saves the log for these reasons. */
const MESSAGES: Readonly<Record<string, RegExp>> = { Panic: /Kernel panic - not syncing/, Oops: / \[#\d+\]/ };

interface Part {
  readonly part: number;
  readonly body: string;
}

interface Dump {
  readonly reason: string;
  readonly count: number;
  readonly since: bigint;
  readonly parts: Part[];
}

/** Text of the records, and what is missing. */
export interface PstoreText {
  /** Messages, the oldest first; last the headers of crashes whose message is missing. */
  readonly text: string;
  /** Missing parts of dumps with other parts available: `Panic#1 Part2`. */
  readonly missing: readonly string[];
  /** Names of records without a header: corrupt, or not compressed with deflate. */
  readonly unreadable: readonly string[];
}

/**
 * Joins records in order: dumps by count and time, parts in descending order, since the last part is the
 * oldest.
 */
export function pstoreText(records: readonly PstoreRecord[]): PstoreText {
  const dumps = new Map<string, Dump>();
  const unreadable: string[] = [];
  for (const { name, text } of records.flatMap(singleRecords)) {
    const [header = '', reason = '', count, part] = HEADER.exec(text) ?? [];
    if (header === '') {
      unreadable.push(name);
      continue;
    }
    // efi: the first ten digits are the time of the dump, which is the same in all its parts.
    const id = NAME.exec(name)?.[1] ?? '';
    const since = id.length >= 15 ? BigInt(id.slice(0, 10)) : 0n;
    const key = `${reason}#${count} ${since}`;
    const dump = dumps.get(key) ?? { reason, count: Number(count), since, parts: [] };
    dumps.set(key, dump);
    dump.parts.push({ part: Number(part), body: text.slice(header.length) });
  }
  const ordered = [...dumps.values()].sort((a, b) =>
    a.since === b.since ? a.count - b.count : a.since < b.since ? -1 : 1,
  );
  const missing: string[] = [];
  const texts = ordered.map(({ reason, count, parts }) => {
    parts.sort((a, b) => b.part - a.part);
    const known = new Set(parts.map(({ part }) => part));
    for (let part = 1; part < (parts[0]?.part ?? 0) && missing.length < 100; part++)
      if (!known.has(part)) missing.push(`${reason}#${count} Part${part}`);
    return parts.map(({ body }) => body).join('');
  });
  const text = texts.reduce(joined, '');
  // Without its message, the header is the only sign of a crash.
  const headers = ordered
    .filter(({ reason }) => MESSAGES[reason]?.test(text) === false)
    .map(({ reason, count, parts }) => `${reason}#${count} Part${parts.at(-1)?.part}\n`);
  return { text: text + headers.join(''), missing, unreadable };
}

/** The records of a file: one, or all that systemd-pstore joined. */
function singleRecords({ name, content }: PstoreRecord): { readonly name: string; readonly text: string }[] {
  if (name.endsWith('.enc.z')) return [{ name, text: inflated(content) }];
  const [before = '', ...parts] = content.toString('utf8').split(EACH);
  const records = before === '' && parts.length > 0 ? [] : [{ name, text: before }];
  for (let at = 0; at < parts.length; at += 2) records.push({ name: parts[at] ?? name, text: parts[at + 1] ?? '' });
  return records;
}

/** Maximum decompressed size: the kernel's buffer for a record has only some kilobytes. */
const MAX_INFLATED = 1 << 24;

/**
 * Decompresses a record that the kernel left compressed: raw deflate (since 6.6, crypto_comp), or with a zlib
 * header (3.x).
 */
function inflated(content: Buffer): string {
  for (const inflate of [inflateRawSync, inflateSync])
    try {
      const options = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: MAX_INFLATED };
      const text = inflate(content, options).toString('utf8');
      if (HEADER.test(text)) return text;
    } catch {
      // Another compression, or corrupt: the record then has no header.
    }
  return '';
}

/** Joins two dumps without duplicates: a later dump begins with messages of the previous one. */
function joined(before: string, after: string): string {
  const [first = ''] = after.split('\n', 1);
  const at = first === '' ? -1 : before.indexOf(`${first}\n`);
  return at < 0 ? before + after : before.slice(0, at) + after;
}
