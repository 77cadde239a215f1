/** Start of the output of `journalctl -o export`. */
export const JOURNAL_EXPORT = '__CURSOR=';

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
const MOST_FIELD = 1 << 24;

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
        if (size <= MOST_FIELD && rest.length <= from + size) break;
        if (size <= MOST_FIELD && FIELDS.has(name)) entry[name] = rest.toString('utf8', from, from + size);
        // Includes the line feed after the field.
        end = from + size;
        passed = Math.max(0, end + 1 - rest.length);
      }
      at = Math.min(rest.length, end + 1);
    }
    rest = rest.subarray(at);
    yield Buffer.from(lines.join(''));
    if (rest.length > 2 * MOST_FIELD) throw new Error('malformed journal export');
  }
  if (rest.length + passed > 0 || Object.keys(entry).length > 0)
    throw new Error('the journal export is truncated within an entry');
}
