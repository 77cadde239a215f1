import { DF, NETSTAT, type PastedPart } from '../../records/pasted.js';

/** What printed an output: the words behind a prompt, and the file of /proc or of a cgroup that they name. */
export interface Command {
  readonly words: string;
  readonly path?: string;
}

/** An output of a command, recognized by its lines without indentation. */
export interface Kind {
  readonly name: string;
  /** Its name, if its lines show another one. */
  readonly nameOf?: (lines: readonly string[]) => string;
  /** Begins an output, even in the middle of one of another kind. */
  readonly head?: RegExp;
  /** Its heading, which must be directly above its head: words of any language. */
  readonly above?: RegExp;
  /** A line of it. */
  readonly line: RegExp;
  /** Without a head: number of lines that show the kind. */
  readonly least?: number;
  /** The last line of a section: only a head may follow it. */
  readonly end?: RegExp;
  /** Its lines have no name of their own: a line like the first one begins no other output. */
  readonly repeats?: true;
  /** Its figures are rounded, and yield to those of the kernel. */
  readonly isRounded?: true;
  /** Files of a sosreport with the same content; a string: why there are none. Absent: the kind is not used. */
  readonly files?: (lines: readonly string[], command: Command, pageSize: number) => Map<string, string> | string;
  /** What it shows besides files. */
  readonly figures?: (lines: readonly string[]) => PastedPart['figures'];
  /** Why the kind is not used, and what to run instead. */
  readonly why?: string;
}

/** A file of /proc with the lines as they are; numbers lose their separators. */
const file =
  (name: string, indent = '') =>
  (lines: readonly string[]) =>
    new Map([[name, lines.map((line) => `${indent}${line}\n`).join('')]]);

/** Lines of smaps that /proc/meminfo and /proc/PID/status do not have. */
const SMAPS_LINE =
  /^(?:(?:Size|Rss|Pss(?:_\w+)?|(?:Shared|Private)_\w+|Referenced|Anonymous|KSM|LazyFree|\w*Huge\w*|\w+PmdMapped|Swap|SwapPss|KernelPageSize|MMUPageSize|Locked|ProtectionKey|THPeligible): *\d+(?: kB)?|VmFlags:.*)$/;
const MAPPING = String.raw`[0-9a-f]{8,16}-[0-9a-f]{8,16} [r-][w-][x-][ps-] [0-9a-f]{8,16} \w{2,6}:\w{2,6} \d+(?: .*)?`;
const STATUS_LINE =
  /^(?:(?:Name|Umask|State|(?:T|N|NS)\w{0,3}[gis]d|NSpid|Pid|PPid|TracerPid|[UG]id|FDSize|Groups|Kthread|Threads|Sig\w+|Shd\w+|Cap\w+|NoNewPrivs|Seccomp\w*|Spec\w+|Cpus_\w+|Mems_\w+|\w*ctxt_switches|CoreDumping|THP_enabled|untag_mask|x86_\w+):.*|(?:Vm\w+|Rss\w+|HugetlbPages):\s*\d+ kB)$/;

/** `12,345` and `12.345` of some locales. */
const NUMBER = String.raw`\d{1,3}(?:[,.]\d{3})+|\d{1,15}`;
const plain = (digits: string) => digits.replace(/[,.](?=\d{3})/g, '');

const MEMINFO = new RegExp(
  String.raw`^(?!Vm(?!alloc)|Rss|Pss|Hugetlb_?Pages)([A-Z]\w{1,38}(?:\(\w{1,10}\))?):\s*(${NUMBER})(?: ?(?:kB|KB|kb|KiB|K)|(?<=^HugePages_.*))$`,
);
const VMSTAT =
  /^((?:nr|pg|pageoutrun|swp|ps|allocstall|kswapd|slabs|drop|oom|numa|thp|compact|workingset|unevictable|balloon|zswp|swap|htlb|zone|kcompactd|cow|direct|vma|ksm|memmap)_?\w{0,40}) (-?\d{1,19})$/;

/** Since procps 4.0.5 the size of a cache has no unit. */
const SLABTOP = /^(\d+) +(\d+) +\d+% +([\d.,]+)K +(\d+) +(\d+) +(\d+)K? +(\S{1,100})$/;

/** Units of `free` and `top`, in powers of 1024; also Cyrillic. */
const UNITS = ['bkmgtp', '\u0431\u043a\u043c\u0433\u0442\u043f'];

function unitOf(letter = '', base = 1024): number | undefined {
  const power = Math.max(...UNITS.map((letters) => letters.indexOf(letter.toLowerCase())));
  return letter === '' || power < 0 ? undefined : base ** power;
}

const meminfo = (rows: readonly (readonly [name: string, bytes: number | undefined])[]) => {
  const lines = rows.flatMap(([name, bytes]) =>
    bytes === undefined ? [] : `${name}: ${Math.round(bytes / 1024)} kB\n`,
  );
  return new Map(lines.length === 0 ? [] : [['proc/meminfo', lines.join('')]]);
};

const SIZE = String.raw`\d{1,19}(?:[.,]\d{1,3})?(?:[KMGTP]i?|B)?`;
/** A row of `free`: its label, in any language, and sizes. */
const freeRow = (least: number, most: number) =>
  new RegExp(String.raw`^[^\d:\uff1a]{1,30}[:\uff1a](?:\s+${SIZE}){${least},${most}}$`);
/** At least five words. */
const WORDS = /^[^\s\d:]+(?:\s+[^\s\d:]+){4,8}$/;
const ENGLISH = /^total\s+used\s+free\b/;
/** An option of `free`: units are powers of 1000. */
const SI = / --si\b/;
/** Rows of `free` with as many cells as that of swap. */
const NOT_SWAP = /^(?:Total|Low|High|Comm):/;

/** Total, free and available memory of `free`; its other columns are sums of several counters. */
function freeFiles([heading = '', ...lines]: readonly string[], { words }: Command): Map<string, string> | string {
  const rows = lines.map((line) => ({ line, cells: line.replace(/^[^:\uff1a]*[:\uff1a]\s*/, '').split(/\s+/) }));
  const memory = rows.find(({ line, cells }) => cells.length >= 4 || line.startsWith('Mem:'))?.cells;
  if (!memory) return 'it has no row of memory';
  const unit = freeUnit(memory, words);
  if (unit === undefined) return 'its unit is unknown (the text lacks the command, such as free -m)';
  const columns = ENGLISH.test(heading) ? heading.split(/\s+/) : columnsOf(memory, unit);
  if (!columns) return 'its columns are unknown: LC_ALL=C free prints them in English';
  const others = rows.filter(({ line, cells }) => cells.length === 3 && !NOT_SWAP.test(line)).map(({ cells }) => cells);
  // With free -l, low and high memory are before it.
  const [total, low, high] = [memory, ...others].map(([cell]) => figureOf(cell, unit));
  const isLow = low !== undefined && low.bytes > 0 && isSum(total, low, high);
  const [swapTotal, , swapFree] = others[isLow ? 2 : 0] ?? [];
  // With --si, a suffix is a power of 1000.
  const base = SI.test(words) ? 1000 : 1024;
  const of = (column: string) => sized(memory[columns.indexOf(column)], unit, base);
  return meminfo([
    ['MemTotal', of('total')],
    ['MemFree', of('free')],
    ['MemAvailable', of('available')],
    ['Buffers', of('buffers')],
    ['Shmem', of('shared')],
    ['SwapTotal', sized(swapTotal, unit, base)],
    ['SwapFree', sized(swapFree, unit, base)],
  ]);
}

/** A rounded figure, in bytes, and how far from it the exact one may be. */
interface Figure {
  readonly bytes: number;
  readonly error: number;
}

function figureOf(cell: string | undefined, unit: number): Figure {
  const [, part = '', suffix = ''] = /^\d+(?:[.,](\d+))?(.*)$/.exec(cell ?? '') ?? [];
  return { bytes: sized(cell, unit) ?? Number.NaN, error: (sized(`1${suffix}`, unit) ?? 0) / 10 ** part.length };
}

/** Whether the first figure is the sum of the others. */
function isSum(first: Figure | undefined, ...others: readonly (Figure | undefined)[]): boolean {
  const rest = others.reduce((sum, figure) => sum - (figure?.bytes ?? Number.NaN), first?.bytes ?? Number.NaN);
  return Math.abs(rest) <= [first, ...others].reduce((sum, figure) => sum + (figure?.error ?? 0), 0);
}

/**
 * Columns of the row of memory, if its figures show them. Used memory is what is not free (procps before 3.3.10), what is
 * neither free nor cache (before 4.0), or what is not available.
 */
function columnsOf(cells: readonly string[], unit: number): readonly string[] | undefined {
  const row = cells.map((cell) => figureOf(cell, unit));
  const [total, used, free] = row;
  const known = ['total', 'used', 'free', 'shared'];
  const isNew = isSum(total, used, row.at(-1)) || isSum(total, used, free, ...row.slice(4, -1));
  if (row.length === 7) return isNew ? [...known, 'buffers', 'cache', 'available'] : undefined;
  // `Gi` is newer.
  const isOld = isSum(total, used, free) && !cells.some((cell) => cell.endsWith('i'));
  if (isOld && isNew) return known.slice(0, 3);
  if (isOld) return [...known, 'buffers', 'cached'];
  return isNew ? [...known, 'buff/cache', 'available'] : undefined;
}

/** Bytes of a figure: as the command asks or each figure shows. KiB are multiples of a page; all by chance are not. */
function freeUnit(cells: readonly string[], words: string): number | undefined {
  if (cells.some((cell) => /[KMGTPB]/i.test(cell))) return 1;
  if (/\bfree\b/.test(words)) {
    const [, short, binary, decimal] =
      / (?:-\w*([bkmgt])|--([kmgt])[ie]bi|--([kmgt])(?:ilo|ega|iga|era)|--bytes)(?: |$)/.exec(words) ?? [];
    const unit = unitOf(short ?? binary ?? decimal ?? (/ --bytes/.test(words) ? 'b' : 'k')) ?? 1024;
    return decimal || SI.test(words) ? 1000 ** (Math.log2(unit) / 10) : unit;
  }
  const figures = cells.map(Number).filter((figure) => figure > 0);
  const total = figures[0] ?? 0;
  if (figures.length >= 4 && figures.every((figure) => figure % 4 === 0)) return total >= MIN_KIB ? 1024 : undefined;
  return total >= MIN_MIB && total < MAX_MIB ? 2 ** 20 : undefined;
}

/** 32 MiB; and amounts that are MiB: more than machines have in GiB, and less than they have in kB (--si). */
const [MIN_KIB, MIN_MIB, MAX_MIB] = [2 ** 15, 2 ** 11, 2 ** 21];

function sized(cell: string | undefined, unit: number, base?: number): number | undefined {
  const [, digits = '', letter] = /^(\d+(?:[.,]\d+)?)([KMGTPB])?i?B?$/i.exec(cell ?? '') ?? [];
  const size = letter === undefined ? unit : unitOf(letter, base);
  return digits === '' || size === undefined ? undefined : Number(digits.replace(',', '.')) * size;
}

const TOP_PROCESS =
  /^(\d+) (\S+) +\S+ +-?\d+ +([\d.,]+[kmgtp]?) +([\d.,]+[kmgtp]?) +[\d.,]+[kmgtp]? +([A-Zt]) +[\d.,]+ +[\d.,]+ +[\d:.]+ (.+)$/;
const TOP_HEADING = /^\S+ +\S+ +PRI? +NI +\S+ +\S+ +\S+ +\S/;
/** A line of its summary, in any language: at least two of its figures. */
const TOP_SUMMARY = /^[^\d:]{1,30}:(?:\D{0,24}\d{1,19}(?:[.,]\d{1,3})?[^\d,]{0,24},){2}/;
const TOP_FIGURE = /(\d{1,19}(?:[.,]\d{1,3})?)k?\+? +([^\s\d,]+)/g;

/** Memory and swap: lines of four figures, of which the first one begins with its unit, or has it behind figures. */
function topMemory(lines: readonly string[]): Map<string, string> {
  const rows = lines.map((line) => {
    const [, letter] = /^(\S)\S{1,2} [^\d:]{1,24}:/.exec(line) ?? /^Mem: +\d+(k)/.exec(line) ?? [];
    const figures = TOP_SUMMARY.test(line)
      ? Array.from(line.matchAll(TOP_FIGURE), ([, cell = '', word = '']) => ({ cell, word }))
      : [];
    return { unit: unitOf(letter), figures };
  });
  const at = rows.findIndex(({ unit, figures }) => unit !== undefined && figures.length === 4);
  if (at < 0) return new Map();
  const unit = rows[at]?.unit ?? 1;
  const [memory = [], swap = []] = rows.slice(at, at + 2).map(({ figures }) => figures);
  const [total, second, third, cache] = memory.map(({ cell }) => figureOf(cell, unit));
  // Since procps 3.3.10 free memory is before used memory, and available memory is in the line of swap.
  const isNew = isSum(total, third, figureOf(swap[3]?.cell, unit)) || isSum(total, second, third, cache);
  const order = isNew ? ['total', 'free', 'used', 'avail'] : ['total', 'used', 'free', 'cached'];
  const isKnown = isNew !== isSum(total, second, third);
  const of = (figures: typeof memory, column: string) => {
    const words = figures.map(({ word }) => word);
    const names = words.includes('free') ? words : isKnown ? order : ['total'];
    return sized(figures[names.indexOf(column)]?.cell, unit);
  };
  return meminfo([
    ['MemTotal', of(memory, 'total')],
    ['MemFree', of(memory, 'free')],
    ['MemAvailable', of(swap, 'avail')],
    ['SwapTotal', of(swap, 'total')],
    ['SwapFree', of(swap, 'free')],
  ]);
}

function topFiles(lines: readonly string[]): Map<string, string> | string {
  const made = topMemory(lines);
  const rows = lines.flatMap((line) => {
    const [, pid, user, size, resident, state, command] = TOP_PROCESS.exec(line) ?? [];
    // As ps prints the name of a kernel thread.
    const shown = size === '0' ? `[${command}]` : command;
    const kib = (cell: string | undefined) => Math.round((sized(cell, 1024) ?? 0) / 1024);
    return pid === undefined ? [] : `${user} ${pid} 0 0 ${kib(size)} ${kib(resident)} ? ${state} - - ${shown}\n`;
  });
  if (rows.length > 0) made.set(PS, rows.join(''));
  return made.size > 0 ? made : 'it has neither memory nor a process';
}

/** BusyBox counts the page cache as used. */
const BUSYBOX_MEMORY =
  /^Mem: (\d{1,13})K used, (\d{1,13})K free, (\d{1,13})K shrd, (\d{1,13})K buff, (\d{1,13})K cached$/;

function busyboxTopFiles(lines: readonly string[]): Map<string, string> {
  const [used = 0, free = 0, shared, buffers, cached] = (BUSYBOX_MEMORY.exec(lines[0] ?? '') ?? [])
    .slice(1)
    .map((kib) => Number(kib) * 1024);
  return meminfo([
    ['MemTotal', used + free],
    ['MemFree', free],
    ['Buffers', buffers],
    ['Cached', cached],
    ['Shmem', shared],
  ]);
}

const PS = 'sos_commands/process/ps_aux';

/** A row of ps begins with the pid, or with a user before it. */
const PS_ROW = /^(?:\d{1,10}|[a-z_][\w.+-]{0,31} +\d{1,10}) +\S+(?: +\S.*)?$(?<!: tunables.*)/;

/** `ps -o` with the columns that are read, in any order; the last one may contain blanks. */
function psFiles(lines: readonly string[]): Map<string, string> {
  const [head = '', ...rows] = lines;
  const columns = head.split(/ +/);
  const form = new RegExp(
    `^${columns
      .slice(1)
      .map(() => String.raw`(\S+) +`)
      .join('')}(.+)$`,
  );
  const named = columns.at(-1);
  const files = rows.flatMap((row) => {
    const cells = form.exec(row)?.slice(1) ?? [];
    const cell = (...names: readonly string[]) => cells[columns.findIndex((column) => names.includes(column))];
    const [pid, command] = [cell('PID'), cells.at(-1) ?? ''];
    const bytes = sized(cell('RSS', 'RSZ'), 1024);
    if (pid === undefined || !/^\d{1,10}$/.test(pid) || bytes === undefined) return [];
    const kib = Math.round(bytes / 1024);
    // Kernel threads have none; `comm` has no brackets around their names.
    const shown = kib === 0 && named !== 'CMD' && !/^\[/.test(command) ? `[${command}]` : command;
    return `${cell('USER', 'RUSER') ?? '?'} ${pid} 0 0 ${kib} ${kib} ? ${cell('STAT', 'S') ?? 'S'} - - ${shown}\n`;
  });
  return new Map([[PS, files.join('')]]);
}
const SS = 'sos_commands/networking/ss_-peaonmi';

/** Sockets get an inode that no kernel gives, where ss printed none: their owners are found by it. */
const FIRST_INODE = 4_000_000_000;

const SS_STATE = 'ESTAB|LISTEN|UNCONN|CLOSE-WAIT|FIN-WAIT-[12]|SYN-(?:SENT|RECV)|LAST-ACK|CLOSING|TIME-WAIT|CLOSED';
const SS_ROW = new RegExp(
  String.raw`^(?:(?:tcp|udp|raw|mptcp|sctp|u_\w+|nl|p_\w+|v_\w+)\s+)?(?:${SS_STATE})\s+\d+\s+\d+\s+\S`,
);
const SS_DETAIL =
  /^(?:users:\(|skmem:\(|timer:\(|ino:\d|uid:\d|sk:[0-9a-f]|<->|-->|cgroup:|(?:ts |sack |cubic|bbr|reno|westwood|mptcp|wscale:|rto:|rcv_space|cwnd:|peers:))/;

function ssFiles(lines: readonly string[]): Map<string, string> {
  let inode = FIRST_INODE;
  const rows: string[] = [];
  for (const line of lines) {
    if (!SS_ROW.test(line)) {
      if (rows.length > 0 && SS_DETAIL.test(line)) rows.push(`${rows.pop()} ${line}`);
      continue;
    }
    const isNamed = /^(?:tcp|udp|raw|mptcp|sctp|u_|nl|p_|v_)/.test(line);
    rows.push(isNamed ? line : `${line.startsWith('UNCONN') ? 'udp' : 'tcp'} ${line}`);
  }
  const numbered = [...new Set(rows)].map((row) =>
    / ino:\d/.test(row) || !/^(?:tcp|udp|raw)/.test(row)
      ? row
      : row.replace(/^(?:\S+\s+){5}\S+/, (ends) => `${ends} ino:${inode++}`),
  );
  return new Map([[SS, `Netid State Recv-Q Send-Q Local Address:Port Peer Address:Port\n${numbered.join('\n')}\n`]]);
}

/** The process of an output: by its command, or by its own lines. */
function pidOf({ path = '', words }: Command, lines: readonly string[]): string | undefined {
  const named = /^\/proc\/(\d{1,10})\//.exec(path)?.[1] ?? /\bpmap\b.* (\d{1,10})\b/.exec(words)?.[1];
  return named ?? lines.map((line) => /^Pid:\s*(\d{1,10})$/.exec(line)?.[1]).find((pid) => pid !== undefined);
}

/** Stands for the process of a text that does not name it: above the kernel's PID_MAX_LIMIT. */
const NO_PID = '4194305';

/** Sums of all mappings, as in smaps_rollup. */
function smapsFiles(lines: readonly string[], command: Command): Map<string, string> | string {
  const pid = pidOf(command, lines) ?? NO_PID;
  const sums = new Map<string, number>();
  for (const line of lines) {
    const [, name = '', kib] = /^(\w+): *(\d{1,13}) kB$/.exec(line) ?? [];
    if (kib !== undefined && !name.endsWith('PageSize') && name !== 'Size')
      sums.set(name, (sums.get(name) ?? 0) + Number(kib));
  }
  const text = [...sums].map(([name, kib]) => `${name}: ${kib} kB\n`).join('');
  return new Map([[`proc/${pid}/smaps_rollup`, `00400000-7fffffff ---p 00000000 00:00 0 [rollup]\n${text}`]]);
}

const hasSizes = (lines: readonly string[]) => lines.some((line) => line.startsWith('Rss:'));

function statusFiles(lines: readonly string[], command: Command): Map<string, string> | string {
  const pid = pidOf(command, lines) ?? NO_PID;
  return new Map([[`proc/${pid}/status`, `${lines.map((line) => line.replace(/:\s*/, ':\t')).join('\n')}\n`]]);
}

/** Objects of one size and slabs of one size: the same figures as /proc/slabinfo, the object's size rounded. */
function slabtopFiles(lines: readonly string[], _: Command, pageSize: number): Map<string, string> | string {
  const rows = new Map<string, string>();
  for (const line of lines) {
    const [, slots, used, size = '', slabs, perSlab, kib, name] = SLABTOP.exec(line) ?? [];
    if (name === undefined) continue;
    const pages = Number(slabs) === 0 ? 0 : (Number(kib) * 1024) / Number(slabs) / pageSize;
    if (!Number.isInteger(pages)) return `its slabs are no multiples of ${pageSize} bytes`;
    const bytes = Math.round(Number(size.replace(',', '.')) * 1024);
    const figures = `${used} ${slots} ${bytes} ${perSlab} ${pages} : tunables 0 0 0 : slabdata ${slabs} ${slabs} 0`;
    rows.set(name, `${name} ${figures}\n`);
  }
  return new Map([['proc/slabinfo', `slabinfo - version: 2.1\n${[...rows.values()].join('')}`]]);
}

/** A file that is one of several alike: only its path says which. */
const fileAt =
  (why: string | Map<string, string>) =>
  (lines: readonly string[], { path }: Command): Map<string, string> | string =>
    path === undefined ? why : new Map([[path.slice(1), lines.map((line) => `${line}\n`).join('')]]);

/** Lines of memory.stat that are shown: of version 2 (bytes), or the sums of version 1. */
const CGROUP_LINES: Readonly<Record<keyof NonNullable<PastedPart['figures']>, readonly string[]>> = {
  limitBytes: ['hierarchical_memory_limit'],
  anonBytes: ['anon', 'total_rss', 'rss'],
  fileBytes: ['file', 'total_cache', 'cache'],
  shmemBytes: ['shmem', 'total_shmem'],
  slabReclaimableBytes: ['slab_reclaimable'],
  slabUnreclaimableBytes: ['slab_unreclaimable'],
  kernelStackBytes: ['kernel_stack'],
  pageTableBytes: ['pagetables'],
  percpuBytes: ['percpu'],
  socketBytes: ['sock'],
};
/** cgroup v1 prints PAGE_COUNTER_MAX where there is no limit. */
const UNLIMITED = 2 ** 60;

function cgroupFigures(lines: readonly string[]): PastedPart['figures'] {
  const values = new Map(lines.map((line) => line.split(' ') as [string, string]));
  return Object.fromEntries(
    Object.entries(CGROUP_LINES).flatMap(([figure, names]) => {
      const value = Number(names.map((name) => values.get(name)).find((digits) => digits !== undefined) ?? Number.NaN);
      return value < UNLIMITED ? [[figure, value]] : [];
    }),
  );
}

const DF_ROW = /^\S+(?: +[a-z]\w+)? +[\d.,]+[KMGT]? +[\d.,]+[KMGT]? +-?[\d.,]+[KMGT]? +(?:\d+%|-) +\//;

const isCgroupStat = ([first = '']: readonly string[]) => /^(?:anon|cache) /.test(first);

/** In the order in which they are tried: an output with a heading before lines that other files have too. */
export const KINDS: readonly Kind[] = [
  {
    name: 'slabtop',
    head: /^(?:Active \/ Total (?:Objects|Slabs|Caches|Size)|Minimum \/ Average \/ Maximum Object|OBJS ACTIVE +USE OBJ)/,
    line: new RegExp(`${SLABTOP.source}|^(?:Active / Total|Minimum / Average)|^OBJS ACTIVE`),
    isRounded: true,
    files: slabtopFiles,
  },
  { name: 'slabtop', line: SLABTOP, least: 1, repeats: true, isRounded: true, files: slabtopFiles },
  {
    name: '/proc/slabinfo',
    head: /^(?:slabinfo - version|# ?name +<active_objs>|\S{1,100} +\d+ +\d+ +\d+ +\d+ +\d+ : tunables)/,
    line: /^(?:# ?name\b.*|\S{1,100} +\d+ +\d+ +\d+ +\d+ +\d+ : tunables.*)$/,
    files: file('proc/slabinfo'),
  },
  { name: 'free', head: ENGLISH, line: freeRow(2, 7), isRounded: true, files: freeFiles },
  { name: 'free', head: freeRow(6, 7), above: WORDS, line: freeRow(2, 7), isRounded: true, files: freeFiles },
  {
    name: 'top',
    head: new RegExp(String.raw`^top - \d{1,2}:\d\d:\d\d up |${TOP_HEADING.source}`),
    line: new RegExp(
      `^(?:Tasks:|Threads:|%?Cpu|Mem:|Swap:)|${[TOP_SUMMARY, TOP_HEADING, TOP_PROCESS].map(({ source }) => source).join('|')}`,
    ),
    isRounded: true,
    files: topFiles,
  },
  {
    name: 'top',
    head: BUSYBOX_MEMORY,
    line: /^(?:CPU: |Load average: |PID +PPID +USER +STAT|\d+ +\d+ \S+ +[A-Z])/,
    isRounded: true,
    files: busyboxTopFiles,
  },
  {
    name: 'ps aux',
    head: /^USER\s+PID\s+%CPU\s+%MEM\s+VSZ\s+RSS/,
    line: /^\S{1,64} +\d{1,10} +\d[\d.]* +\d[\d.]* +\d{1,15} +\d{1,15} +\S+ +[A-Zt-]\S* +\S+ +\S+ /,
    files: file(PS),
  },
  {
    name: 'ps',
    head: /^(?=.*\bPID\b)(?=.*\bRS[SZ]\b)(?!.*\bTASK\b)[A-Z%+ ]+ (?:COMMAND|CMD|COMM)$/,
    line: PS_ROW,
    files: psFiles,
  },
  {
    name: 'ps',
    head: /^(?=.*\bPID\b)(?!.*\b(?:TASK|RES)\b)[A-Z%+ ]+ (?:COMMAND|CMD|COMM)$/,
    line: PS_ROW,
    why: 'it has no memory of processes: ps aux',
  },
  {
    name: 'ss',
    head: /^(?:Netid\s+)?State\s+Recv-Q\s+Send-Q\b/,
    line: new RegExp(`${SS_ROW.source}|${SS_DETAIL.source}`),
    files: ssFiles,
  },
  { name: 'ss', line: new RegExp(`${SS_ROW.source}|${SS_DETAIL.source}`), least: 2, repeats: true, files: ssFiles },
  {
    name: 'ss -s',
    head: /^Total: \d+(?: \(kernel \d+\))?$/,
    line: /^(?:TCP: +\d+ \(estab|Transport\s+Total|\*|RAW|UDP|TCP|INET|FRAG)\b/,
    why: 'it has counts only: ss -tuxnemp lists the sockets',
  },
  {
    name: 'lsmod',
    head: /^Module +Size +Used by/,
    line: /^\w{1,64} +\d+ +-?\d+(?: [\w,[\]-]*)*$/,
    files: file('sos_commands/kernel/lsmod'),
  },
  {
    name: '/proc/zoneinfo',
    head: /^Node \d+, zone +\w+$/,
    end: /^start_pfn:/,
    line: /^(?:Node \d+, zone +\w+|per-node stats|pages free +\d+|pagesets|(?:boost|min|low|high|promo|spanned|present|managed|cma|protection|nr_\w+|numa_\w+|workingset_\w+|\w+mote_\w+|cpu|count|batch|high_m\w+|vm stats threshold|\w*unreclaimable|start_pfn|inactive_ratio|kswapd_\w+|thp_\w+|pg\w+):? +[\d(-].*)$/,
    files: (lines) =>
      new Map([
        ['proc/zoneinfo', lines.map((line) => (line.startsWith('Node ') ? `${line}\n` : `        ${line}\n`)).join('')],
      ]),
  },
  {
    name: '/proc/pagetypeinfo',
    head: /^(?:Page block order: \d+|Free pages count per migrate type|Number of blocks type)/,
    line: /^(?:Pages per block:|Free pages count|Number of blocks|Node +\d+, zone +\w+,? .*\d$)/,
    files: file('proc/pagetypeinfo'),
  },
  { name: '/proc/buddyinfo', line: /^Node \d+, zone +\w+(?: +\d+){8,20}$/, least: 1, files: file('proc/buddyinfo') },
  {
    name: '/proc/vmallocinfo',
    line: /^0x[0-9a-f]{8,16}-0x[0-9a-f]{8,16} +\d+ /,
    least: 1,
    files: file('proc/vmallocinfo'),
  },
  {
    name: '/proc/net/sockstat',
    head: /^sockets: used \d+$/,
    line: /^(?:TCP|UDP|UDPLITE|RAW|FRAG)6?: inuse \d+/,
    files: file('proc/net/sockstat'),
  },
  {
    name: '/proc/PID/smaps_rollup',
    head: /^[0-9a-f]{8,16}-[0-9a-f]{8,16} ---p .*\[rollup\]$/,
    line: SMAPS_LINE,
    files: smapsFiles,
  },
  {
    name: '/proc/PID/smaps',
    nameOf: (lines) => (hasSizes(lines) ? '/proc/PID/smaps' : '/proc/PID/maps'),
    head: new RegExp(`^${MAPPING}$`),
    line: new RegExp(`${SMAPS_LINE.source}|^${MAPPING}$`),
    files: (lines, command) =>
      hasSizes(lines) ? smapsFiles(lines, command) : 'it has addresses only: cat /proc/PID/smaps_rollup has the memory',
  },
  { name: '/proc/PID/status', head: /^Name:\s*\S.*$/, line: STATUS_LINE, least: 3, files: statusFiles },
  {
    name: '/proc/meminfo',
    line: MEMINFO,
    least: 2,
    files: (lines) =>
      new Map([
        [
          'proc/meminfo',
          lines
            .flatMap((line) => {
              const [, name = '', digits = ''] = MEMINFO.exec(line) ?? [];
              return `${name}: ${plain(digits)}${name.startsWith('HugePages_') ? '' : ' kB'}\n`;
            })
            .join(''),
        ],
      ]),
  },
  {
    name: 'memory.stat of a cgroup',
    head: /^(?:(?:in)?active_(?:anon|file)|anon|cache|file|kernel_stack|percpu|sock|slab(?:_\w+)?|rss|mapped_file|hierarchical_\w+|total_\w+|unevictable|shmem|vmalloc|(?:sec_)?pagetables|file_\w+) \d{1,19}$/,
    line: /^(?!nr_)[a-z]\w{1,60} \d{1,19}$/,
    least: 3,
    files: (lines, command) =>
      isCgroupStat(lines) ? fileAt(new Map())(lines, command) : 'its first lines are missing',
    figures: (lines) => (isCgroupStat(lines) ? cgroupFigures(lines) : null),
  },
  {
    name: 'memory.events of a cgroup',
    head: /^low \d{1,19}$/,
    line: /^(?:high|max|oom|oom_kill|oom_group_kill|sock_throttled) \d{1,19}$/,
    files: fileAt('its cgroup is unknown: cat /sys/fs/cgroup/NAME/memory.events names it'),
  },
  {
    name: 'files of cgroups',
    line: /^\/sys\/fs\/cgroup\/[^:\s]{1,300}\/(?:memory|pids|cgroup)\.\w+(?:\.\w+)*:/,
    least: 1,
    files: (lines) => {
      const texts = new Map<string, string>();
      for (const line of lines) {
        const [, path = '', text = ''] = /^\/([^:]+):(.*)$/.exec(line) ?? [];
        texts.set(path, `${texts.get(path) ?? ''}${text}\n`);
      }
      return texts;
    },
  },
  {
    name: 'pressure of memory, I/O or CPUs',
    head: /^some avg10=\d/,
    line: /^full avg10=\d/,
    files: fileAt('it does not say of what: cat /proc/pressure/memory does, with its command'),
  },
  {
    name: 'numastat',
    head: /^(?:node0(?: +node\d+)*|Per-node (?:system|process|numastat) .*)$/,
    line: /^(?:numa_\w+|interleave_hit|\w+_node|[A-Z]\w+(?:\(\w+\))?|PID|\d+ \(.*\)) +[\d.]+(?: +[\d.]+)*$|^(?:Node \d+ *)+(?:Total)?$|^-[- ]+$/,
    why: 'cat /proc/zoneinfo has the zones of each node',
  },
  { name: '/proc/vmstat', line: VMSTAT, least: 3, files: file('proc/vmstat') },
  {
    name: 'memleak of bcc',
    head: /^\[\d{1,2}:\d{1,2}:\d{1,2}\] Top \d+ stacks with outstanding allocations:/,
    line: /^(?:\d+ bytes in \d+ allocations from stack|addr = |\S+\+0x[0-9a-f]+|0x[0-9a-f]+|\d+ \[<|\[unknown\])/,
    why: 'kdump-mem leaks --from reads several reports of the kernel',
  },
  {
    name: 'pmap',
    head: /^Address +Kbytes +(?:RSS|Mode)/i,
    line: /^(?:[0-9a-f]{8,16} +\d+|total kB|-{8,})/,
    why: 'cat /proc/PID/smaps_rollup has the memory of the process',
  },
  {
    name: 'vmstat',
    head: /^(?:procs -+memory-+|r +b +swpd +free)/,
    line: /^(?:r +b +swpd|\d+(?: +\d+){15,18}$)/,
    why: 'it has no memory of owners: cat /proc/meminfo, ps aux',
  },
  {
    name: 'smem',
    head: /^PID User +Command +Swap +USS +PSS +RSS/,
    line: /^\d+ \S+ .*\d$/,
    why: 'kdump-mem procs has the same figures on that machine',
  },
  {
    name: 'netstat',
    line: /^(?:Active (?:Internet|UNIX)|Proto +(?:RefCnt|Recv-Q)|(?:tcp|udp|raw)6? +\d+ +\d+ +\S+:\S+ +\S+:\S+|unix +\d+ +\[)/,
    least: 1,
    repeats: true,
    files: file(NETSTAT),
  },
  { name: 'df', head: DF_ROW, above: /^[^/:%]{1,100}%[^/:%\d]{1,60}$/, line: DF_ROW, files: file(DF) },
  {
    name: 'page_owner',
    head: /^(?:Page allocated via order \d+|\d+ times(?:, \d+ pages.*)?:?$|PFN \d+ type \w+)/,
    line: /^(?:PFN \d+|Page allocated|\d+ times|[\w.]+\+0x[0-9a-f]+\/0x|Charged to memcg)/,
    why: 'kdump-mem leaks --from reads two copies',
  },
  {
    name: 'kmem -i of crash',
    head: /^PAGES +TOTAL +PERCENTAGE$/,
    line: /^(?:TOTAL|FREE|USED|SHARED|BUFFERS|CACHED|SLAB|COMMIT|HUGE|SWAP)\b.*\d/,
    why: 'kdump-mem memory reads the dump itself',
  },
  {
    name: 'kmem -s of crash',
    head: /^CACHE +(?:NAME +)?OBJSIZE +ALLOCATED/,
    line: /^[0-9a-f]{8,16} +\S.* \d+[km]?\b.*$/,
    why: 'kdump-mem memory --caches reads the dump itself',
  },
  {
    name: 'ps of crash',
    head: /^PID +PPID +CPU +TASK +ST +%MEM +VSZ +RSS +COMM$/,
    line: /^>? *\d+ +\d+ +\d+ +[0-9a-f]{8,16} +[A-Z]{2} /,
    why: 'kdump-mem procs reads the dump itself',
  },
];
