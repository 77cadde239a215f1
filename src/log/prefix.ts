import type { LogCaller } from '../records/log-records.js';

/**
 * Form of a line, by its source: `journalctl -o json`, /dev/kmsg and netconsole, syslog and the journal,
 * printk and dmesg.
 */
export type LineForm = 'json' | 'kmsg' | 'syslog' | 'dmesg';

/** A line split into its prefix (by printk, dmesg, syslog or the journal) and its text. */
export interface Prefixed {
  /** Null if not printed. */
  readonly level: number | null;
  readonly facility: number | null;
  /** Nanoseconds on the kernel's clock; null if not printed. */
  readonly timestamp: bigint | null;
  readonly printedTime: string;
  readonly caller: LogCaller | null;
  /** Whether the line has no prefix of printk, dmesg, syslog or the journal. */
  readonly bare: boolean;
  /** Form of the prefix; undefined if there is none. */
  readonly form: LineForm | undefined;
  /** The journal's boot ID; undefined if not printed. */
  readonly bootId?: string | undefined;
  readonly text: string;
}

/** Facility names of `dmesg -x`, in the order of <sys/syslog.h>. */
const FACILITIES = 'kern user mail daemon auth syslog lpr news uucp cron authpriv ftp'.split(' ');
const LEVELS = 'emerg alert crit err warn notice info debug'.split(' ');

/** RFC 3164, RFC 3339, `journalctl -o short-full`, `short-unix`; then host and tag. */
const SYSLOG =
  /^(?:<(?<pri>\d{1,3})>)?(?<time>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,9})?|(?:[A-Z][a-z]{2} )?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: ?[A-Z]{2,5}| ?[+-]\d\d:?\d\d|Z)?|\d{9,10}\.\d{6}) (?<host>[^ :[\]]{1,255}) (?<tag>[^ :[\]]{1,64})(?:\[\d{1,9}\])?: ?/;

/** `journalctl -o short-monotonic`: like printk's output, with the tag `kernel`. */
const MONOTONIC = /^\[ *(\d{1,9})\.(\d{6})\] (?<host>[^ :[\]]{1,255}) (?<tag>[^ :[\]]{1,64})(?:\[\d{1,9}\])?: ?/;

/** Prefix before the time: `dmesg -x`, or `<N>`, which a console also prints before the level. */
const KIND = /^(?:<(\d{1,5})>|([a-z]{3,8}) *:([a-z]{3,6}) *: ?)/;

/** printk's clock, `dmesg -d` and `-e`, with the caller of CONFIG_PRINTK_CALLER, separate or in the same brackets. */
const CLOCK = /^\[ *(\d{1,12})\.(\d{6})(?: <[ \d.]{12,20}>)?\](?:\[ *([TC])(\d{1,9})\])? ?/;

/** `dmesg -T` (names of days and months by locale), `-e`, `--time-format iso`. */
const WALL =
  /^(?:\[([^[\]]{3,24} [ \d]\d \d\d:\d\d:\d\d \d{4}|[A-Z][a-z]{2} ?\d{1,2} \d\d:\d\d| *[+-]\d+\.\d{6})\](?:\[ *([TC])(\d{1,9})\])?|(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d,\d{6}[+-]\d\d:\d\d)) /;

/** Other console output on the same line: a login prompt, a note of printk itself. */
const BEFORE = /^(?:\*\* \d+ printk messages dropped \*\* ?|.{0,80} login: |.{0,80}\$ )(?=(?:<\d+>)?\[ *\d+\.\d{6}\])/;

/**
 * `PRIORITY,SEQ,MICROSECONDS,FLAGS;TEXT`: /dev/kmsg, and netconsole, which may print the release before it.
 */
const KMSG = /^(?:[\w.+-]+,)?(\d{1,5}),\d{1,15},(\d{1,15}),([^;]{0,200});(.*)$/s;

/** Splits a priority into facility and level (include/linux/kern_levels.h). */
function priority(number: number): Pick<Prefixed, 'facility' | 'level'> {
  return { facility: number >> 3, level: number & 7 };
}

/** Tags that syslog and the journal use for the kernel. */
const OF_KERNEL = /^(?:kernel|klogd|vmunix)$/;

/**
 * Splits a line; undefined if its tag shows that another program wrote it.
 *
 * @param line without its line ending
 * @param host host of the journal, if its lines begin with the kernel's clock (`monotonicHost`)
 */
export function splitPrefix(line: string, host?: string): Prefixed | undefined {
  if (line.startsWith('{"')) return ofJournal(line);
  const kmsg = KMSG.exec(line);
  if (kmsg) return ofKmsg(kmsg);
  let rest = line.replace(BEFORE, '');
  let printedTime = '';
  let bare = true;
  let level: number | null = null;
  let facility: number | null = null;
  let timestamp: bigint | null = null;
  let caller: LogCaller | null = null;
  const syslog = SYSLOG.exec(rest);
  if (syslog?.groups) {
    const { time = '', tag = '' } = syslog.groups;
    if (!OF_KERNEL.test(tag)) return undefined;
    rest = rest.slice(syslog[0].length);
    printedTime = time;
    bare = false;
  }
  const monotonic = host === undefined ? null : MONOTONIC.exec(rest);
  if (monotonic?.groups?.host === host && monotonic?.groups) {
    if (!OF_KERNEL.test(monotonic.groups.tag ?? '')) return undefined;
    rest = rest.slice(monotonic[0].length);
    timestamp = clockOf(monotonic[1] ?? '0', monotonic[2] ?? '0');
    bare = false;
  }
  const kind = KIND.exec(rest);
  const known = kind && kindOf(kind);
  if (kind && known) {
    ({ level, facility } = known);
    rest = rest.slice(kind[0].length);
    bare = false;
  }
  const wall = WALL.exec(rest);
  if (wall) {
    printedTime = (wall[1] ?? wall[4] ?? '').trim();
    if (wall[2]) caller = callerOf(wall[2], wall[3]);
    rest = rest.slice(wall[0].length);
    bare = false;
  }
  const clock = CLOCK.exec(rest);
  if (clock) {
    timestamp = clockOf(clock[1] ?? '0', clock[2] ?? '0');
    if (clock[3]) caller = callerOf(clock[3], clock[4]);
    rest = rest.slice(clock[0].length);
    bare = false;
  }
  const form = bare ? undefined : syslog || monotonic ? 'syslog' : 'dmesg';
  // rsyslog escapes line feeds like this.
  const text = rest.replaceAll('#012', '\n');
  return { level, facility, timestamp, printedTime, caller, bare, form, text };
}

const NOTHING = { level: null, facility: null, timestamp: null, printedTime: '', caller: null };

/** Splits a line of `journalctl -o json`. Its kernel timestamp is the time of the printk call. */
function ofJournal(line: string): Prefixed | undefined {
  const bare = { ...NOTHING, bare: true, form: undefined, text: line };
  let entry: unknown;
  try {
    entry = JSON.parse(line);
  } catch {
    return bare;
  }
  const fields = new Map(Object.entries(entry ?? {}));
  const message: unknown = fields.get('MESSAGE');
  if (message === undefined) return bare;
  if ((fields.get('_TRANSPORT') ?? 'kernel') !== 'kernel') return undefined;
  // An array contains bytes that are not printable UTF-8. Null: longer than journalctl prints without --all.
  const text = Array.isArray(message) ? Buffer.from(message).toString('utf8') : String(message ?? '');
  const bootId: unknown = fields.get('_BOOT_ID');
  const number = (name: string): number | null => {
    const value = String(fields.get(name) ?? '');
    return /^\d{1,15}$/.test(value) ? Number(value) : null;
  };
  const clock = number('_SOURCE_MONOTONIC_TIMESTAMP') ?? number('__MONOTONIC_TIMESTAMP');
  const wall = number('__REALTIME_TIMESTAMP');
  return {
    level: number('PRIORITY'),
    facility: number('SYSLOG_FACILITY') ?? 0,
    caller: null,
    timestamp: clock === null ? null : BigInt(clock) * 1000n,
    printedTime: wall === null ? '' : new Date(wall / 1000).toISOString(),
    bare: false,
    form: 'json',
    text,
    ...(typeof bootId === 'string' ? { bootId } : {}),
  };
}

function ofKmsg([, number, microseconds, flags = '', text = '']: RegExpExecArray): Prefixed {
  const [, kind, id] = /(?:^|,)caller=([TC])(\d{1,9})(?:,|$)/.exec(flags) ?? [];
  return {
    ...NOTHING,
    ...priority(Number(number)),
    bare: false,
    form: 'kmsg',
    timestamp: BigInt(microseconds ?? 0) * 1000n,
    caller: kind === undefined ? null : callerOf(kind, id),
    text: unescapeBytes(text),
  };
}

/**
 * Decodes `\x0a`: /dev/kmsg escapes bytes that are not printable ASCII, and backslashes, like this. The bytes
 * are UTF-8.
 */
export function unescapeBytes(text: string): string {
  return text.replace(/(?:\\x[0-9a-f]{2})+/g, (bytes) =>
    Buffer.from(bytes.replaceAll('\\x', ''), 'hex').toString('utf8'),
  );
}

/**
 * Returns the host of a journal line that begins with the kernel's clock; undefined if it is not a kernel
 * message.
 */
export function monotonicHost(line: string): string | undefined {
  const { host, tag = '' } = MONOTONIC.exec(line)?.groups ?? {};
  return OF_KERNEL.test(tag) ? host : undefined;
}

function kindOf(kind: RegExpExecArray): Pick<Prefixed, 'facility' | 'level'> | undefined {
  if (kind[1] !== undefined) return priority(Number(kind[1]));
  const [facility, level] = [FACILITIES.indexOf(kind[2] ?? ''), LEVELS.indexOf(kind[3] ?? '')];
  return facility < 0 || level < 0 ? undefined : { facility, level };
}

function clockOf(seconds: string, microseconds: string): bigint {
  return BigInt(seconds) * 1_000_000_000n + BigInt(microseconds) * 1000n;
}

function callerOf(kind: string, id: string | undefined): LogCaller {
  return { kind: kind === 'C' ? 'cpu' : 'task', id: Number(id) };
}
