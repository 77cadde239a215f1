import { escapeText } from '../../base/escape.js';
import { count, formatCount, formatSize, inflect } from '../../base/size.js';
import { grouped } from '../../base/util.js';
import type { InfoAnswer, RunningTask, TypesVerified } from '../../contracts/info.js';
import { isRequestedCrash } from '../../log/words.js';
import { hostCommand } from '../text/blocks.js';
import { wrap } from '../text/cut.js';

type KernelInfo = NonNullable<InfoAnswer['kernel']>;
type Sources = KernelInfo['sources'];

/** Fact that is missing if the kernel’s log cannot be read. */
const THE_LOG = 'the log';

const UNKNOWN = 'unknown (see below)';

/**
 * Formats the answer to `info`: a headline, facts line by line, then unknown facts with the reason.
 *
 * @param columns of the terminal; null: no terminal, and nothing is wrapped
 * @param source options that name the dump, for the next command
 */
export function infoText(answer: InfoAnswer, columns: number | null, source: string): string {
  const { kernel, missing } = answer;
  const lines = [...dumpLines(answer), ...(kernel ? kernelLines(answer, kernel) : notedLines(answer))];
  const width = Math.max(...lines.map(([label]) => label.length));
  const room = columns === null ? null : Math.max(20, columns - width - 2);
  const parts = [
    wrap(headline(answer), columns).join('\n'),
    lines
      .flatMap(([label, value]) =>
        wrap(value, room).map((part, at) => `${(at === 0 ? label : '').padEnd(width)}  ${part}`),
      )
      .join('\n'),
  ];
  if (missing.length > 0) {
    const reasons = missingLines(missing).flatMap((line) =>
      wrap(line, columns === null ? null : columns - 2).map((part) => `  ${part}`),
    );
    parts.push(['Unknown:', ...reasons].join('\n'));
  }
  if (kernel?.panic.state === 'panicked') parts.push(`Next: ${hostCommand('triage', source)}`);
  return parts.join('\n\n');
}

const PANIC_PREFIX = /^Kernel panic - (not syncing: )?/;

type Line = readonly [label: string, value: string];

/** Formats unknown facts grouped by reason, since one reason often applies to many; the first of several of one name. */
function missingLines(missing: InfoAnswer['missing']): string[] {
  const names = [...grouped(missing, ({ what }) => what)].map(([what, [first, ...others]]) => ({
    what: others.length === 0 ? what : `${others.length + 1} × ${what}, the first`,
    why: first?.why ?? '',
  }));
  return [...grouped(names, ({ why }) => why)].map(
    ([why, whats]) => `${escapeText(whats.map(({ what }) => what).join(', '))}: ${escapeText(why)}`,
  );
}

function headline({ dump, noted, kernel }: InfoAnswer): string {
  if (!kernel) {
    const of = noted.release === null ? '' : ` of Linux ${escapeText(noted.release)}`;
    return `Dump${of}: the kernel cannot be read`;
  }
  const release = escapeText(kernel.release);
  if (dump.live) return `Linux ${release}, running`;
  const { panic } = kernel;
  if (panic.state === 'panicked') {
    const why = panic.message?.replace(PANIC_PREFIX, '') ?? panic.cause;
    const requested = isRequestedCrash(why ?? '') ? ' (requested by a user or a program)' : '';
    return `Linux ${release} panicked${why === null ? '' : `: ${escapeText(why)}`}${requested}`;
  }
  return panic.state === 'running'
    ? `Linux ${release}: no panic, dumped while running`
    : `Linux ${release}: unknown whether it panicked`;
}

function dumpLines({ dump }: InfoAnswer): Line[] {
  const bytes = dump.files.reduce((sum, file) => sum + file.bytes, 0);
  const files = dump.files.map(({ path }) => escapeText(path)).join(', ');
  const compression = dump.compression.filter((method) => method !== 'none');
  const packed = dump.live || compression.length === 0 ? '' : `, ${compression.join(' and ')}`;
  const plain = compression.length > 0 && dump.compression.includes('none') ? ' and plain pages' : '';
  return [
    [dump.files.length > 1 ? 'FILES' : 'FILE', dump.live ? files : `${files} (${formatSize(bytes)})`],
    [
      'FORMAT',
      `${escapeText(dump.description).replace(/, extract$/, ', extract (a reduced copy, by kdump-mem extract: an answer reports what it lacks)')}${packed}${plain}`,
    ],
    ['FILTERED', filterText(dump)],
    ['CONTENT', `${dump.storedExact ? '' : 'at least '}${formatSize(dump.storedBytes)} of memory pages (uncompressed)`],
    ...dump.anomalies.map((anomaly): Line => ['NOTE', escapeText(anomaly)]),
  ];
}

const KIND_WORDS: Record<NonNullable<InfoAnswer['dump']['filtered']>[number], string> = {
  zero: 'zero pages',
  cache: 'page cache',
  'private-cache': 'private cache',
  user: 'user memory',
  free: 'free pages',
};

function filterText({ dumpLevel, filtered, live, description }: InfoAnswer['dump']): string {
  if (live) return 'nothing (running kernel)';
  if (dumpLevel === null || filtered === null) {
    return description.includes('filtered')
      ? 'yes, but the format does not record which pages'
      : 'not recorded in this format';
  }
  if (filtered.length === 0) return `nothing (level ${dumpLevel})`;
  return `${filtered.map((kind) => KIND_WORDS[kind]).join(', ')} (level ${dumpLevel})`;
}

function notedLines(answer: InfoAnswer): Line[] {
  const { release, buildId } = answer.noted;
  return [
    ['RELEASE', release === null ? UNKNOWN : escapeText(release)],
    ...vendorLines(answer),
    ['BUILD ID', buildId ?? 'not in the dump'],
    ...timeLines(answer),
  ];
}

function vendorLines({ vendor }: InfoAnswer): Line[] {
  if (!vendor) return [];
  const { name, stream } = vendor;
  return [['VENDOR', stream === null ? name : `${name}, ${stream}`]];
}

function kernelLines(answer: InfoAnswer, kernel: KernelInfo): Line[] {
  const { version, nodename, ramBytes, panic, taint, processes } = kernel;
  const lines: Line[] = [
    ['RELEASE', `${escapeText(kernel.release)} ${kernel.arch}, ${kernel.paging}`],
    ['VERSION', version === null ? UNKNOWN : escapeText(version)],
    ...vendorLines(answer),
    ['BUILD ID', answer.noted.buildId ?? 'not in the dump'],
    ['HOST', nodename === null ? UNKNOWN : escapeText(nodename)],
    ...timeLines(answer),
    ['CPUS', cpusText(kernel)],
    [
      'RAM',
      ramBytes === null
        ? UNKNOWN
        : `${formatSize(ramBytes)} (MemTotal: without the crash kernel, the kernel image, struct pages and other memory reserved at boot)`,
    ],
    ['TASKS', processes ? tasksText(processes) : UNKNOWN],
    ['TAINT', taint ? taintText(taint) : UNKNOWN],
  ];
  if (panic.message !== null) lines.push(['PANIC', escapeText(panic.message)]);
  else if (panic.state === 'panicked') {
    const isLogRead = !answer.missing.some(({ what }) => what === THE_LOG);
    lines.push(['PANIC', isLogRead ? 'yes (no message in the log)' : 'yes (the log cannot be read)']);
  }
  if (panic.cause !== null) {
    const isCrash = panic.state === 'panicked';
    const isRequested = isRequestedCrash(panic.message?.replace(PANIC_PREFIX, '') ?? panic.cause);
    const doubt = isCrash && !isRequested ? ' (need not be the cause)' : '';
    lines.push([isCrash ? 'PRECEDED BY' : 'LOGGED', `${escapeText(panic.cause)}${doubt}`]);
  }
  if (panic.task) lines.push(['PANIC TASK', taskText(panic.task)]);
  else if (panic.state === 'panicked') lines.push(['PANIC TASK', UNKNOWN]);
  if (panic.state !== 'panicked') lines.push(['RUNNING', runningText(kernel)]);
  return [...lines, ...sourceLines(answer, kernel), ...limitLines(kernel)];
}

function timeLines({ time }: InfoAnswer): Line[] {
  if (!time) return [['TIME', UNKNOWN]];
  const at = `${time.at.slice(0, 19)}Z`;
  const from = time.from === 'crash' ? 'the crash' : 'kernel clock at the last tick';
  return [
    [time.from === 'crash' ? 'CRASHED' : 'TIME', `${at}${time.from === 'crash' ? '' : ` (${from})`}`],
    ['UPTIME', time.uptimeSeconds === null ? UNKNOWN : uptimeText(time.uptimeSeconds)],
  ];
}

/** Formats an uptime: `3 days 04:12:09`. */
function uptimeText(seconds: number): string {
  const whole = Math.floor(seconds);
  const two = (value: number): string => `${Math.floor(value)}`.padStart(2, '0');
  const days = Math.floor(whole / 86_400);
  const clock = `${two((whole / 3600) % 24)}:${two((whole / 60) % 60)}:${two(whole % 60)}`;
  return days === 0 ? clock : `${days} ${inflect(days, 'day')} ${clock}`;
}

function cpusText({ cpus: { online, possible }, panic }: KernelInfo): string {
  if (online === null) return UNKNOWN;
  const of = possible === null ? '' : `, ${possible} possible`;
  // stop_this_cpu() clears the online bit.
  const stopped = panic.state === 'panicked' && online < (possible ?? 0) ? ' (a panic stops the other CPUs)' : '';
  return `${online} online${of}${stopped}`;
}

function tasksText({ user, kernel }: { user: number; kernel: number }): string {
  const processes = count(user, 'process', 'processes');
  return `${processes}, ${formatCount(kernel)} kernel threads`;
}

function taintText({ flags }: NonNullable<KernelInfo['taint']>): string {
  return flags.length === 0 ? 'none' : flags.map(({ letter, words }) => `${letter} (${words})`).join(', ');
}

/** Maximum number of CPUs whose task is listed in text. */
const MAX_TASKS = 8;

function runningText({ running, cpus: { online } }: KernelInfo): string {
  const busy = running.filter(({ pid }) => pid !== 0);
  if (busy.length === 0) return running.length > 0 && running.length >= (online ?? 0) ? 'every CPU was idle' : UNKNOWN;
  const shown = busy.slice(0, MAX_TASKS).map(taskText).join(', ');
  return busy.length > MAX_TASKS ? `${shown} and ${busy.length - MAX_TASKS} more` : shown;
}

function taskText({ pid, comm, cpu }: RunningTask): string {
  return `pid ${pid} (${escapeText(comm)}) on CPU ${cpu}`;
}

/** Returns a line for each part that a command omits. */
function limitLines({ limits }: KernelInfo): Line[] {
  if (limits === null) return [];
  if (limits.length === 0)
    return [
      ['UNSUPPORTED', 'nothing: this kernel’s types are known (data that the file lacks is reported by each command)'],
    ];
  return limits.map(({ command, part, why }): Line => ['UNSUPPORTED', escapeText(`${command} omits ${part}: ${why}`)]);
}

function sourceLines({ dump }: InfoAnswer, { sources, modules }: KernelInfo): Line[] {
  const withTypes = modules?.withTypes ?? null;
  const types = withTypes === null ? 'types unknown' : `BTF types of ${withTypes}`;
  const where =
    sources.vmcoreinfo === 'note'
      ? dump.description.startsWith('kdump')
        ? 'note in the kdump header'
        : 'ELF note'
      : 'found in memory (no note)';
  return [
    ['VMCOREINFO', where],
    ['SYMBOLS', foundText(sources.symbols).replace(', one linear pass', '')],
    ['TYPES', foundText(sources.types) + verifiedText(sources)],
    ['MODULES', modules ? `${modules.names.length} loaded, ${types}` : UNKNOWN],
    ['DIRECT MAP', foundText(sources.directMap)],
    ['STRUCT PAGES', foundText(sources.pages)],
    ...sources.anomalies.map((anomaly): Line => ['NOTE', escapeText(anomaly)]),
  ];
}

const SOURCE_WORDS: Readonly<Record<string, string>> = {
  kallsyms: 'kallsyms',
  'System.map': 'System.map',
  vmlinux: 'vmlinux',
  dump: 'BTF',
  file: 'BTF',
  DWARF: 'DWARF',
  ISF: 'ISF',
};

const VERIFIED_WORDS: Readonly<Record<TypesVerified, string>> = {
  'build-id': '; build id matches the dump',
  banner: '; banner matches the dump',
  release: '; release matches the dump',
  layouts: '; sizes and offsets match VMCOREINFO',
  none: '; not verified',
};

function verifiedText({ typesVerified: by }: Sources): string {
  return by === null ? '' : VERIFIED_WORDS[by];
}

function foundText(origin: Sources['symbols']): string {
  if (!origin.found) return UNKNOWN;
  const source = SOURCE_WORDS[origin.source];
  return `${source === undefined ? '' : `${source}, `}${escapeText(origin.detail)}`;
}
