import { constants, inflateRawSync, inflateSync } from 'node:zlib';

/** A record of pstore: part of what the kernel dumped of its log when it crashed. */
export interface PstoreRecord {
  /** `dmesg-efi-170123456700001`, `dmesg-ramoops-0`. */
  readonly name: string;
  readonly content: Buffer;
}

/** `Panic#1 Part3`, before the messages (`pstore_dump`, fs/pstore/platform.c). Part 1 is the newest. */
const HEADER = /^(?:====\d+\.\d+(?:-[CD])?\n)?(\w{1,32})#(\d{1,9}) Part(\d{1,9})\n/;

/** Before the number that a backend adds: `efi` writes the time, the part and the count. */
const NAME = /(?:^|\/)dmesg-[a-z_]+-(\d{1,20})(?:\.enc\.z)?$/;

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

/** What the records hold, and what is missing of them. */
export interface PstoreText {
  /** The oldest message first. */
  readonly text: string;
  /** `Panic#1 Part2`: other parts of the same dump are there. */
  readonly missing: readonly string[];
  /** Names of records whose text has no header: damaged, or not compressed with deflate. */
  readonly unreadable: readonly string[];
}

/** Puts records in order: dumps by their counts and times, their parts from the last, which is the oldest. */
export function pstoreText(records: readonly PstoreRecord[]): PstoreText {
  const dumps = new Map<string, Dump>();
  const unreadable: string[] = [];
  for (const { name, content } of records) {
    const text = name.endsWith('.enc.z') ? inflated(content) : content.toString('utf8');
    const [header = '', reason = '', count, part] = HEADER.exec(text) ?? [];
    if (header === '') {
      unreadable.push(name);
      continue;
    }
    // efi: the first ten digits are the time of the dump, the same in all its parts.
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
  return { text: texts.reduce(joined, ''), missing, unreadable };
}

/** The kernel gives a buffer of some kilobytes for a record. */
const MOST_INFLATED = 1 << 24;

/** A record that the kernel did not decompress: raw deflate (6.6 on, crypto_comp), or with zlib's header (3.x). */
function inflated(content: Buffer): string {
  for (const inflate of [inflateRawSync, inflateSync])
    try {
      const options = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: MOST_INFLATED };
      const text = inflate(content, options).toString('utf8');
      if (HEADER.test(text)) return text;
    } catch {
      // Compressed otherwise, or damaged: it has no header then.
    }
  return '';
}

/** A later dump begins with messages that the one before has too: those are taken once. */
function joined(before: string, after: string): string {
  const [first = ''] = after.split('\n', 1);
  const at = first === '' ? -1 : before.indexOf(`${first}\n`);
  return at < 0 ? before + after : before.slice(0, at) + after;
}
