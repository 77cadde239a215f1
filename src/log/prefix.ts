import type { LogCaller, Printer } from '../records/log-records.js';

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
  readonly printer?: Printer;
  /** Sequence number of /dev/kmsg. */
  readonly number?: number;
  /** Whether the line has neither a known prefix nor that of its file. */
  readonly bare: boolean;
  /** Form of the prefix; undefined if there is none. */
  readonly form: LineForm | undefined;
  /** The journal's boot ID; undefined if not printed. */
  readonly bootId?: string | undefined;
  readonly text: string;
}

/** What the lines of a file have in common (`LogFormat`). */
export interface LearntPrefix {
  /** Matches what precedes the kernel's own prefix; sticky. */
  readonly heads?: RegExp | undefined;
  /** Whether tags follow that, which name the program. */
  readonly hasTags?: boolean | undefined;
  /** Host in a journal whose lines begin with the kernel's clock; '' if it prints none. */
  readonly host?: string | undefined;
  /** Matches what the kernel prints between its clock and the message; sticky. */
  readonly printer?: RegExp | undefined;
}

/** Facility names of `dmesg -x`, in the order of <sys/syslog.h>. */
const FACILITIES = 'kern user mail daemon auth syslog lpr news uucp cron authpriv ftp'.split(' ');
const LEVELS = 'emerg alert crit err warn notice info debug'.split(' ');

/**
 * An entry of syslog or the journal: any text with a time, up to three words (zone or year, host, `kern.warn`), and the
 * tag of the program.
 */
const ENTRY =
  /^(?:<\d{1,3}>)?(?<head>(?:[^:\]]|:(?! )|\](?!:)){0,80}?(?:\d\d:\d\d:\d\d[^ \t]{0,40}|(?<!\d)\d{9,10}\.\d{6}))(?<words>(?: [^ :[\]]{1,255}){0,3}?) (?<tag>[^ :[\]]{1,64})(?<pid>\[\d{0,9}\])?:(?: |$|(?=[[<]))/;

/** printk's own form, with level and clock, which other programs do not print. */
const RAW = /^<\d{1,3}>\[ *\d{1,9}\.\d{6}\] /;

/** Time of an entry without a pid: RFC 3164, RFC 3339, `journalctl -o short-full`, `short-unix`. */
const SYSLOG_TIME =
  /^(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,9})?|(?:[A-Z][a-z]{2} )?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[A-Z]{2,5}|[+-]\d\d:?\d\d|Z)?|\d{9,10}\.\d{6})$/;

/** First lines of reports that only a kernel prints, without those that begin with a program's name. */
export const REPORTS = String.raw`Out of memory: Kill|Memory cgroup out of memory: |Kernel panic - not syncing|BUG: (?:unable to handle|Unable to handle|kernel NULL|soft lockup|Bad |scheduling while|sleeping function|K[AM]SAN: )|kernel BUG at \S+:\d+!|WARNING: (?:CPU: \d|possible |at \w)|INFO: task \S|rcu: INFO: |watchdog: BUG: |Oops: |Internal error: Oops|Unable to handle kernel|general protection fault[,:] |-+\[ cut here`;

/**
 * Messages that only a kernel prints. A line with one is a kernel's, whatever precedes it, if that does not end within
 * a word or a sentence.
 */
export const KNOWN = new RegExp(
  String.raw`(?<![^\s:|>\])#])(?:${REPORTS}|Linux version \d|Kernel command line: |BIOS-e820: |Killed process \d|general protection fault|[^\s:|>\]]{1,15} invoked oom-killer: |oom-kill:constraint=|Mem-Info:|Node \d+ (?:DMA|Normal|active_anon)|active_anon:\d|lowmem_reserve\[\]: |\d+ total pagecache pages|Free swap {1,2}= |CPU: \d+ (?:UID: \d+ )?PID: \d+ Comm: |Hardware name: |Call [Tt]race:|Modules linked in: |RIP: 00|pc : [\w.]+\+0x|-+\[ end trace|[^\s:|>\]]{1,15}: page allocation (?:failure|stalls)|EXT4-fs \(|XFS \(|BTRFS (?:info|error|warning) |usb \d-\d|\[ (?:BUG|INFO): |INFO: (?:possible |suspicious |rcu_|trying to register)|BUG: (?:memory leak|bad unlock|spinlock|using )|unreferenced object 0x|VFS: Close: )`,
);

/** A line of a stack trace, by the address or the offset in a function: not one that names a lock or an event. */
export const FRAME =
  /(?<![^\s:|>\])#])(?<!\): |(?:\bat|from|in|by|is):? )(?:\? )?(?:\[<?[0-9a-f]{8,16}>?\] |\w[\w.]{0,100}\+0x[0-9a-f]{1,8}\/0x[0-9a-f])/;

/** Such a message behind a time, a host or other words, without a tag. */
export const TIMED = new RegExp(
  `^(?:<\\d{1,3}>)?(?:${SYSLOG_TIME.source.slice(1, -1)})(?: [^ :[\\]]{1,255}){0,3}? ${KNOWN.source}`,
);

/** A time in a prefix: with its date before it, in any language, and its zone or year. */
const TIME_TEXT =
  /(?:(?:[^\s:[\]()<>|\d]+ )?\d{4}[-/]\d\d[-/]\d\d[T _]|(?:[^\s:[\]()<>|]+ +){1,3})?\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?: ?[+-]\d\d:?\d\d|Z\b| (?:[A-Z]{2,5}|\d{4})(?![^\s\]]))?|(?<!\d)\d{9,10}\.\d{6}/;

/** Tag that syslog and the journal use for the kernel; OpenWrt has one for the log before a crash. */
const NAMES = '(?:kernel|klogd|vmunix|crashlog)';
const KERNEL_TAG = new RegExp(`${NAMES}(?:\\[\\d{0,9}\\])?: ?`, 'y');
const IS_KERNEL = new RegExp(`^${NAMES}$`);
export const STARTS_WITH_TAG = new RegExp(`^${KERNEL_TAG.source}`);
const OTHER_TAG = /[^ :[\]]{1,64}(?:\[\d{1,9}\])?: /y;

/** `journalctl -o short-monotonic`, `short-delta`: like printk's output, with host and tag. */
export const MONOTONIC =
  /^\[ *(\d{1,9})\.(\d{6})(?: <[ \d.]{12,20}[ *]?>| {16})?\] (?:(?<host>[^ :[\]]{1,255}) )?(?<tag>[^ :[\]]{1,64})(?<pid>\[\d{1,9}\])?: ?/;

/** Prefix before the time: `dmesg -x`, or `<N>`, which a console also prints before the level. */
const KIND = /^(?:<(\d{1,5})>|([a-z]{3,8}) *:([a-z]{3,6}) *: ?)/;

/**
 * printk's clock, `dmesg -d` and `-e`, with the caller of CONFIG_PRINTK_CALLER, separate or in the same brackets. Some
 * vendors add `s`, the CPU, or the wall clock.
 */
const CLOCK =
  /^\[ *(\d{1,12})\.(\d{6})s?(?: <[ \d.]{12,20}[ *]?>|,\d{1,3}| \/ [^[\]]{1,30}|@\d{1,3}| {16})?\](?:\[ *([TC])(\d{1,9})(?:@\w{1,4})?\])? ?/;

/** `dmesg -T` (names of days and months by locale), `-e`, `-d` without a time, `--time-format iso`. */
const WALL =
  /^(?:\[([^[\]]{3,24} [ \d]\d \d\d:\d\d:\d\d \d{4}(?: <[ \d.]{12,20}>)?|[^\s[\]\d]{1,12} ?\d{1,2} \d\d:\d\d| *[+-]\d+\.\d{6}|<[ \d.]{6,20}>)\](?:\[ *([TC])(\d{1,9})\])?|(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d,\d{6}[+-]\d\d:\d\d)) /;

/** Other console output on the same line: a login prompt, a note of printk itself. */
const BEFORE = /^(?:\*\* \d+ printk messages dropped \*\* ?|.{0,80} login: |.{0,80}\$ )(?=(?:<\d+>)?\[ *\d+\.\d{6}\])/;

/**
 * CPU and task between the clock and the message: `I[7:      swapper/0:    1] ` (Samsung), ` (1)[10406:Thread-6]`
 * (MediaTek), `[pid:1,cpu0,swapper/0]` (Huawei), `(CPU:0-pid:1:init) `, `c0    1 `.
 */
export const PRINTERS =
  /^(?: {0,2}[A-Z.-]?\[ {0,3}(?<cpu1>\d{1,3}): *(?<comm1>.{1,16}?): *(?<pid1>\d{1,9})\] ?| {0,2}(?:<\d>\.?)?[ -]?\((?<cpu2>\d{1,3})\)\[(?<pid2>\d{1,9}):(?<comm2>[^\]]{0,16})\](?:\[name:[\w-]{1,40}&\])?|(?:\[[\d: .-]{8,30}\])?\[pid:(?<pid3>\d{1,9}),cpu(?<cpu3>\d{1,3}),(?<comm3>[^\],]{0,16})(?:,\d+)?\] ?| ?\(CPU:(?<cpu4>\d{1,3})-pid:(?<pid4>\d{1,9}):(?<comm4>[^)]{0,16})\) ?| ?c(?<cpu5>\d{1,2}) +(?<pid5>\d{1,9}) (?:\((?<comm5>[^)]{0,16})\) )?)/;

/**
 * `PRIORITY,SEQ,MICROSECONDS,FLAGS;TEXT`: /dev/kmsg, and netconsole, which may print the release before it.
 */
const KMSG = /^(?:[\w.+-]+,)?(\d{1,5}),(\d{1,15}),(\d{1,15}),([^;]{0,200});(.*)$/s;

/** Rest of a clock whose beginning was lost. */
const CUT_CLOCK = /^[ \d]{0,12}\.?\d{1,6}\](?:\[ *[TC]\d{1,9}\])? /;

/** What a further line of an entry of the journal has in place of a prefix, at least. */
export const REST = ' '.repeat(16);

/** Splits a priority into facility and level (include/linux/kern_levels.h). */
function priority(number: number): Pick<Prefixed, 'facility' | 'level'> {
  return { facility: number >> 3, level: number & 7 };
}

/**
 * Splits a line; undefined if its tag shows that another program wrote it.
 *
 * @param line without its line ending
 */
export function splitPrefix(line: string, { heads, hasTags, host, printer }: LearntPrefix = {}): Prefixed | undefined {
  let rest = line;
  let printedTime = '';
  let bare = true;
  let form: LineForm | undefined;
  const head = headOf(rest, { heads });
  if (head !== '') {
    printedTime = timeIn(head);
    rest = rest.slice(head.length);
    // Where the others have the kernel's clock, a line without it is not printk's, whatever precedes it.
    bare = hasTags === false || rest.startsWith(REST);
    if (hasTags && matchedAt(KERNEL_TAG, rest) === '' && matchedAt(OTHER_TAG, rest) !== '') return undefined;
  }
  if (rest.startsWith('{"')) return ofJson(rest);
  const kmsg = KMSG.exec(rest);
  if (kmsg) return ofKmsg(kmsg);
  const tag = head !== '' || hasTags ? matchedAt(KERNEL_TAG, rest) : '';
  const entry = tag === '' ? entryOf(rest, hasTags) : undefined;
  if (entry === 'other') return undefined;
  if (tag !== '' || entry) {
    // Some templates of rsyslog print the colon of the tag twice.
    rest = rest.slice(entry?.length ?? tag.length).replace(/^: (?=\[ *\d)/, '');
    if (entry) printedTime = entry.printedTime;
    bare = false;
    form = entry?.isConsole ? 'dmesg' : 'syslog';
  } else if (rest.includes(']')) rest = rest.replace(BEFORE, '');
  let level: number | null = null;
  let facility: number | null = null;
  let timestamp: bigint | null = null;
  let caller: LogCaller | null = null;
  const monotonic = host === undefined ? null : MONOTONIC.exec(rest);
  const { tag: program = '', host: own = '', pid } = monotonic?.groups ?? {};
  if (monotonic && own === host) {
    if (IS_KERNEL.test(program)) {
      rest = rest.slice(monotonic[0].length);
      timestamp = clockOf(monotonic[1] ?? '0', monotonic[2] ?? '0');
      bare = false;
      form = 'syslog';
    } else if (host !== '' || pid !== undefined) return undefined;
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
  const parsed = printer && clock ? printerOf(printer, rest) : undefined;
  if (parsed) {
    rest = rest.slice(parsed.length);
    // Interrupts print the task that they interrupted: of the idle tasks, which share a pid, the CPU differs.
    if (parsed.pid > 0) caller ??= { kind: 'task', id: parsed.pid };
    else if (parsed.cpu !== null) caller ??= { kind: 'cpu', id: parsed.cpu };
  }
  if (!bare) form ??= 'dmesg';
  // rsyslog escapes line feeds like this.
  const text = rest.replaceAll('#012', '\n');
  const { length: _, ...who } = parsed ?? { length: 0 };
  return {
    level,
    facility,
    timestamp,
    printedTime,
    caller,
    ...(parsed && parsed.pid >= 0 ? { printer: who as Printer } : {}),
    bare,
    form,
    text,
  };
}

/** Splits a first line whose beginning was lost, up to the kernel's clock or tag; undefined if it has neither. */
export function splitRemainder(line: string, learnt: LearntPrefix): Prefixed | undefined {
  const clock = CUT_CLOCK.exec(line)?.[0];
  const start = clock?.length ?? anchorOf(line.slice(0, MAX_HEAD));
  if (start === undefined) return undefined;
  const split = splitPrefix(line.slice(start).replace(STARTS_WITH_TAG, ''), { ...learnt, heads: undefined });
  return split && { ...split, bare: false, form: split.form ?? 'dmesg' };
}

/** Maximum length of a prefix. */
export const MAX_HEAD = 200;

const ANCHOR = new RegExp(
  [
    String.raw`(?:<\d{1,5}>)?\[ *\d{1,12}\.\d{6}(?:s|,\d{1,3}| [</@ ][^[\]]{0,40})?\]`,
    `(?<![^ \\t:./|\\]])${KERNEL_TAG.source}`,
    String.raw`(?<![^\s:|>])\d{1,5},\d{1,15},\d{1,15},[-+\w=,]{1,99};`,
    String.raw`(?<![^\s:|>])kern {2}:[a-z]{3,6} *: ?`,
    String.raw`\{"(?=__|_[A-Z]|MESSAGE"|log"|pri")`,
  ].join('|'),
);

/** Position of the kernel's own prefix, or of its tag, in a line; undefined if it has none. */
export function anchorOf(line: string): number | undefined {
  return ANCHOR.exec(line)?.index;
}

/** What an entry of syslog begins with; `other`: its tag is that of another program. */
function entryOf(
  line: string,
  hasTags: boolean | undefined,
): { readonly length: number; readonly printedTime: string; readonly isConsole?: true } | 'other' | undefined {
  const match = ENTRY.exec(line);
  if (match === null) return undefined;
  const { head = '', words = '', tag = '', pid } = match.groups ?? {};
  if (IS_KERNEL.test(tag)) {
    // On a console, it is a line that grep found in a file.
    if (hasTags === false && /^[^ ]*\/[^ ]*:/.test(head)) return undefined;
    return { length: match[0].length, printedTime: timeIn(`${head}${words}`) };
  }
  // `dmesg --time-format iso` prints no tags.
  if (/,\d{6}[+-]\d\d:\d\d$/.test(head)) return undefined;
  // `Out of memory:` is no tag, unless all lines have one.
  if (!hasTags && pid === undefined && TIMED.test(line)) return undefined;
  if (!hasTags && pid === undefined && (words === '' || !SYSLOG_TIME.test(head))) return undefined;
  // The log of a virtual machine has the console of its guest (vmware.log: `Guest: <6>[…]`).
  if (hasTags || !RAW.test(line.slice(match[0].length))) return 'other';
  return { length: match[0].length, printedTime: timeIn(`${head}${words}`), isConsole: true };
}

/** The time that a prefix contains; '' if none. */
function timeIn(head: string): string {
  return TIME_TEXT.exec(head)?.[0].trim() ?? '';
}

/** A line that another program wrote, with its tag; an entry of a journal in JSON as other forms print it. */
export function programLine(line: string): string {
  if (!line.startsWith('{"')) return line;
  try {
    const fields: Readonly<Record<string, unknown>> = JSON.parse(line);
    return `${fields.SYSLOG_IDENTIFIER}[${fields._PID ?? 0}]: ${fields.MESSAGE}`;
  } catch {
    return line;
  }
}

/** What precedes the kernel's own prefix in a line. */
export function headOf(line: string, { heads }: LearntPrefix): string {
  return matchedAt(heads, line);
}

function matchedAt(pattern: RegExp | undefined, text: string): string {
  if (pattern === undefined) return '';
  pattern.lastIndex = 0;
  return pattern.exec(text)?.[0] ?? '';
}

/** Parts of a vendor's prefix; the pid is -1 if it prints none. */
function printerOf(pattern: RegExp, text: string): (Printer & { readonly length: number }) | undefined {
  pattern.lastIndex = 0;
  const match = pattern.exec(text);
  if (match === null) return undefined;
  const part = (name: string) =>
    Object.entries(match.groups ?? {}).find(([key, value]) => key.startsWith(name) && value !== undefined)?.[1];
  const [cpu, pid] = [part('cpu'), part('pid')];
  return {
    cpu: cpu === undefined ? null : Number(cpu),
    pid: pid === undefined ? -1 : Number(pid),
    comm: part('comm')?.trim() ?? '',
    length: match[0].length,
  };
}

const NOTHING = { level: null, facility: null, timestamp: null, printedTime: '', caller: null };

/**
 * Splits an object on one line: `journalctl -o json`, `dmesg -J`. The journal's kernel timestamp is the time of the
 * printk call.
 */
function ofJson(line: string): Prefixed | undefined {
  const bare = { ...NOTHING, bare: true, form: undefined, text: line };
  let entry: unknown;
  try {
    entry = JSON.parse(line);
  } catch {
    return bare;
  }
  const fields = new Map<string, unknown>(Object.entries(entry ?? {}));
  const message = fields.get('MESSAGE') ?? fields.get('msg');
  if (message === undefined && !fields.has('MESSAGE')) return bare;
  const isJournal = fields.has('MESSAGE');
  if (!isJournal && !fields.has('pri')) return bare;
  if ((fields.get('_TRANSPORT') ?? 'kernel') !== 'kernel') return undefined;
  // An array contains bytes that are not printable UTF-8. Null: longer than journalctl prints without --all.
  const text = Array.isArray(message) ? Buffer.from(message).toString('utf8') : String(message ?? '');
  const number = (name: string): number | null => {
    const value = String(fields.get(name) ?? '');
    return /^\d{1,15}$/.test(value) ? Number(value) : null;
  };
  const common = { caller: null, bare: false, form: 'json', text } as const;
  if (!isJournal) {
    const time = fields.get('time');
    const printed = typeof time === 'number' ? time.toFixed(6) : String(time ?? '');
    const [, seconds, microseconds] = /^(\d{1,12})\.(\d{6})$/.exec(printed) ?? [];
    const [, kind, id] = /^([TC])(\d{1,9})$/.exec(String(fields.get('caller') ?? '').trim()) ?? [];
    const pri = number('pri');
    const named = namedKind(String(fields.get('fac')), String(fields.get('pri')));
    return {
      ...common,
      ...((pri === null ? named : priority(pri)) ?? { facility: null, level: null }),
      caller: kind === undefined ? null : callerOf(kind, id),
      timestamp: seconds === undefined ? null : clockOf(seconds, microseconds ?? '0'),
      printedTime: seconds === undefined ? printed : '',
    };
  }
  const bootId = fields.get('_BOOT_ID');
  const clock = number('_SOURCE_MONOTONIC_TIMESTAMP') ?? number('__MONOTONIC_TIMESTAMP');
  const wall = number('__REALTIME_TIMESTAMP');
  return {
    ...common,
    level: number('PRIORITY'),
    facility: number('SYSLOG_FACILITY') ?? 0,
    timestamp: clock === null ? null : BigInt(clock) * 1000n,
    printedTime: wall === null ? '' : new Date(wall / 1000).toISOString(),
    ...(typeof bootId === 'string' ? { bootId } : {}),
  };
}

function ofKmsg([, both, number, microseconds, flags = '', text = '']: RegExpExecArray): Prefixed {
  const [, kind, id] = /(?:^|,)caller=([TC])(\d{1,9})(?:,|$)/.exec(flags) ?? [];
  return {
    ...NOTHING,
    ...priority(Number(both)),
    number: Number(number),
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

function kindOf(kind: RegExpExecArray): Pick<Prefixed, 'facility' | 'level'> | undefined {
  return kind[1] === undefined ? namedKind(kind[2] ?? '', kind[3] ?? '') : priority(Number(kind[1]));
}

function namedKind(facilityName: string, levelName: string): Pick<Prefixed, 'facility' | 'level'> | undefined {
  const [facility, level] = [FACILITIES.indexOf(facilityName), LEVELS.indexOf(levelName)];
  return facility < 0 || level < 0 ? undefined : { facility, level };
}

/** Nanoseconds of a clock. */
export function clockOf(seconds: string, microseconds: string): bigint {
  return BigInt(seconds) * 1_000_000_000n + BigInt(microseconds) * 1000n;
}

function callerOf(kind: string, id: string | undefined): LogCaller {
  return { kind: kind === 'C' ? 'cpu' : 'task', id: Number(id) };
}
