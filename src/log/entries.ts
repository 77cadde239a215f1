/** Start of the output of `journalctl -o export`. */
const JOURNAL_EXPORT = '__CURSOR=';
/** First line of an entry of `journalctl -o verbose`: its time, and its cursor. */
const VERBOSE =
  /^(?<time>[^\n[]{8,60}) \[s=[0-9a-f]+;i=[0-9a-f]+;b=(?<boot>[0-9a-f]{32});m=(?<clock>[0-9a-f]{1,14});t=(?<wall>[0-9a-f]{1,14});/m;
/** Start of an object over several lines: `journalctl -o json-pretty`, `dmesg -J`. */
const OBJECT = /^\s*\{[ \t]*\r?\n/;
/** Number of bytes at the start of a text that show such a format. */
export const ENTRY_HEAD = 512;

/**
 * Converts entries over several lines to objects on one line each; undefined: the text has none.
 *
 * @param head the first bytes of the text
 */
export function entryLines(head: string, parts: AsyncIterable<Buffer>): AsyncGenerator<Buffer> | undefined {
  if (head.startsWith(JOURNAL_EXPORT)) return exportedLines(parts);
  if (OBJECT.test(head)) return joinedLines(parts, new ObjectJoiner());
  return VERBOSE.test(head) ? joinedLines(parts, new VerboseJoiner()) : undefined;
}

/** Joins the lines of entries. */
interface Joiner {
  /** @returns the entry that ends before this line, or with it */
  take(line: string): string | undefined;
  end(): string | undefined;
}

async function* joinedLines(parts: AsyncIterable<Buffer>, joiner: Joiner): AsyncGenerator<Buffer> {
  let rest = '';
  const entries = (lines: readonly string[]): Buffer =>
    Buffer.from(
      lines
        .flatMap((line) => joiner.take(line.replace(/\r$/, '')) ?? [])
        .map((entry) => `${entry}\n`)
        .join(''),
      'latin1',
    );
  for await (const part of parts) {
    const lines = (rest + part.toString('latin1')).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > MAX_FIELD) rest = rest.slice(0, MAX_FIELD);
    yield entries(lines);
  }
  if (rest !== '') yield entries([rest]);
  yield Buffer.from(joiner.end() ?? '', 'latin1');
}

/** Joins the innermost objects; lines outside of them are dropped, malformed ones are kept as they are. */
class ObjectJoiner implements Joiner {
  #lines: string[] = [];

  take(line: string): string | undefined {
    const text = line.trim();
    const entry = text.startsWith('}') ? this.end() : undefined;
    if (text.endsWith('{')) this.#lines = [];
    else if (!/^[}\]]/.test(text) && this.#lines.length < MAX_FIELDS) this.#lines.push(text);
    return entry;
  }

  end(): string | undefined {
    const lines = this.#lines;
    this.#lines = [];
    return lines.length === 0 ? undefined : `{${lines.join('')}}`;
  }
}

/** Joins `    FIELD=value`, whose further lines are indented by more. */
class VerboseJoiner implements Joiner {
  #entry: Record<string, string> = {};
  #field = '';

  take(line: string): string | undefined {
    const head = VERBOSE.exec(line)?.groups;
    if (head) {
      const entry = this.end();
      const { boot = '', clock = '0', wall = '0' } = head;
      this.#entry = {
        _BOOT_ID: boot,
        __MONOTONIC_TIMESTAMP: String(Number.parseInt(clock, 16)),
        __REALTIME_TIMESTAMP: String(Number.parseInt(wall, 16)),
      };
      return entry;
    }
    const [, name, value = ''] = /^ {4}([A-Z_][A-Z0-9_]{0,63})=(.*)$/s.exec(line) ?? [];
    if (name !== undefined) {
      this.#field = FIELDS.has(name) ? name : '';
      if (this.#field !== '') this.#entry[name] = value;
    } else if (this.#field !== '' && (this.#entry[this.#field]?.length ?? 0) < MAX_FIELD)
      this.#entry[this.#field] += `\n${line.trim()}`;
    return undefined;
  }

  end(): string | undefined {
    const entry = this.#entry;
    this.#entry = {};
    this.#field = '';
    return entry.MESSAGE === undefined ? undefined : JSON.stringify(entry);
  }
}

/** Fields of an entry that are read. */
const FIELDS = new Set([
  'MESSAGE',
  'PRIORITY',
  'SYSLOG_FACILITY',
  '_TRANSPORT',
  '_BOOT_ID',
  '_SOURCE_MONOTONIC_TIMESTAMP',
  '__MONOTONIC_TIMESTAMP',
  '__REALTIME_TIMESTAMP',
]);

const NEWLINE = 10;
const EQUALS = '='.charCodeAt(0);
/** Length in bytes of a binary field's size. */
const SIZE_BYTES = 8;
/** Maximum size of a field that is read. Other fields are skipped, whatever their size. */
const MAX_FIELD = 1 << 24;
const MAX_FIELDS = 1000;

/**
 * Converts the entries of a journal to the format of `journalctl -o json`, one line each (systemd:
 * docs/JOURNAL_EXPORT_FORMATS.md).
 *
 * @throws {Error} it ends within an entry, or is malformed
 */
export async function* exportedLines(parts: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  let entry: Record<string, string> = {};
  /** Remaining bytes of a large field to skip. */
  let passed = 0;
  for await (const part of parts) {
    const skipped = Math.min(passed, part.length);
    passed -= skipped;
    rest = Buffer.concat([rest, part.subarray(skipped)]);
    const lines: string[] = [];
    let at = 0;
    for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE, at)) {
      const field = rest.subarray(at, end);
      const equals = field.indexOf(EQUALS);
      const name = field.toString('latin1', 0, equals < 0 ? field.length : equals);
      if (field.length === 0) {
        if (entry.__REALTIME_TIMESTAMP !== undefined) lines.push(`${JSON.stringify(entry)}\n`);
        entry = {};
      } else if (equals >= 0) {
        if (FIELDS.has(name)) entry[name] = field.toString('utf8', equals + 1);
      } else {
        const from = end + 1 + SIZE_BYTES;
        if (rest.length < from) break;
        const size = Number(rest.readBigUInt64LE(end + 1));
        if (size <= MAX_FIELD && rest.length <= from + size) break;
        if (size <= MAX_FIELD && FIELDS.has(name)) entry[name] = rest.toString('utf8', from, from + size);
        // Includes the line feed after the field.
        end = from + size;
        passed = Math.max(0, end + 1 - rest.length);
      }
      at = Math.min(rest.length, end + 1);
    }
    rest = rest.subarray(at);
    yield Buffer.from(lines.join(''));
    if (rest.length > 2 * MAX_FIELD) throw new Error('malformed journal export');
  }
  if (rest.length + passed > 0 || Object.keys(entry).length > 0)
    throw new Error('the journal export is truncated within an entry');
}
