import type { Figure, Finding, FindingCode } from '../../triage/finding.js';
import { PLACE } from '../../triage/rules/names.js';
import { taintFlags } from '../../walk/machine/taint.js';
import { escapeText } from '../text/escape.js';
import { formatSize } from '../text/size.js';
import { oomWords } from './oom-words.js';

type Figures = Readonly<Record<string, Figure>>;

const text = (figure: Figure | undefined): string =>
  figure == null ? '?' : escapeText(String(figure));
const size = (figure: Figure | undefined): string =>
  typeof figure === 'number' ? formatSize(figure) : '?';
const percent = (figure: Figure | undefined): string =>
  typeof figure === 'number' ? `${Math.round(100 * figure)} %` : '?';
const process = ({ pid, comm }: Figures): string => `pid ${text(pid)} (${text(comm)})`;
/** Headline, then further sentences. A string is a headline alone. */
type Words = string | readonly [headline: string, ...details: string[]];

/** The figures that a line of the log had, whichever of its forms it has. */
const said = (figures: Figures, ...names: readonly string[]): string =>
  names.flatMap((name) => (figures[name] == null ? [] : text(figures[name]))).join(': ');

/** Why the reason of a panic is unknown. */
const unloggedWords = ({ logMessages }: Figures): string =>
  logMessages === null
    ? 'the reason is unknown, because the log is not available'
    : 'the log does not contain the reason';

/** `CPU 1 was running pid 7 (x).`, where the task is known. */
const running = (of: Figures): string[] =>
  of.pid == null ? [] : [`CPU ${text(of.cpu)} was running ${process(of)}.`];

const WORDS: Readonly<Record<FindingCode, (figures: Figures, title?: string) => Words>> = {
  panic: (of) => [
    `Kernel panic: ${of.reason == null ? unloggedWords(of) : text(of.reason)}.`,
    ...running(of),
    ...(of.cause == null ? [] : [`Preceded by: ${text(of.cause).replace(/\.$/, '')}.`]),
  ],
  oops: oopsWords,
  'soft-lockup': (of) =>
    `Soft lockup: CPU ${text(of.cpu)} stuck for ${text(of.seconds)} s in ${process(of)}.`,
  'hard-lockup': (of) => `Hard lockup: CPU ${text(of.cpu)} stopped servicing interrupts.`,
  'rcu-stall': (of) =>
    `RCU stall: a CPU reported no quiescent state in time (${text(of.flavour)}).`,
  'hung-task': (of) =>
    `Hung task: ${process(of)} was in uninterruptible sleep (state D) for more than ${text(of.seconds)} s.`,
  'blocked-tasks': (of) =>
    of.tasks === 1
      ? `Blocked task: ${process(of)} is in uninterruptible sleep (state D) in ${text(of.symbol)}.`
      : `Blocked tasks: ${text(of.tasks)}, including ${process(of)}, are in uninterruptible sleep (state D) in ${text(of.symbol)}.`,
  'oom-kill': oomWords,
  'allocation-failure': allocationWords,
  'memory-corruption': (of) =>
    `Memory corruption detected: ${said(of, 'cache', 'what', 'list', 'kasan', 'slab', 'saturated')}.`,
  'hardware-error': (of) => `Hardware error: ${said(of, 'what', 'error', 'device', 'kind')}.`,
  'kernel-warning': (of, title) =>
    of.place == null
      ? named(of, title)
      : `Kernel warning at ${text(of.place)}${of.symbol == null ? '' : `, in ${text(of.symbol)}`}.`,
  lockdep: named,
  'atomic-sleep': named,
  'spinlock-bug': named,
  'workqueue-lockup': named,
  'memory-leak': named,
  'uninitialized-value': named,
  'data-race': named,
  'undefined-behavior': named,
  'network-memory': (of) =>
    `Network resource exhausted: ${said(of, 'protocol', 'what', 'table', 'neighbours', 'routes', 'files')}.`,
  'file-system-error': (of) =>
    of.server != null
      ? `NFS server ${text(of.server)} is not responding.`
      : `File system or disk error: ${said(of, 'system', 'io', 'device', 'journal', 'journalErrors', 'shutdown', 'swap', 'controller')}${of.readOnly == null ? '' : `${text(of.readOnly)} is now read-only`}.`,
  'queued-data': (of) => [
    `Memory pinned by a socket: fd ${text(of.fd)} of ${process(of)} pins ${pinned(of)}.`,
    `${queued(of)}, most in its ${text(of.queue)} queue.`,
  ],
  'queued-data-of-process': (of) => [
    `Memory pinned by sockets: ${text(of.sockets)} sockets of ${process(of)} pin ${pinned(of)}.`,
    `${queued(of)}.`,
    of.freedIfKilledBytes === null
      ? 'The amount freed if the process is killed is unknown.'
      : `Killing the process frees at least ${size(of.freedIfKilledBytes)}.`,
  ],
  'queued-data-of-machine': (of) => [
    `Memory pinned by sockets: all ${text(of.sockets)} sockets of the machine pin ${pinned(of)}.`,
    `${queued(of)}.`,
    `The largest part, ${size(of.mostBytes)}, is ${of.pid === null ? 'in sockets without a process' : `held by ${process(of)}`}.`,
  ],
  'stalled-reader': stalledWords,
  'unattributed-memory': (of) =>
    `Unattributed memory: ${size(of.bytes)} (${percent(of.share)} of memory) is allocated but not attributed to any owner${of.mostOrder == null ? '' : `, mostly in order-${text(of.mostOrder)} blocks`}.`,
  'low-memory': (of) =>
    `Low memory: zone ${text(of.zone)} of node ${text(of.node)} has ${size(of.freeBytes)} free, below its min watermark (${size(of.minBytes)}).`,
  tainted: (of) =>
    `Tainted kernel: ${taintFlags(BigInt(of.mask ?? 0))
      .map(({ words }) => words)
      .join(', ')}.`,
};

const pinned = (of: Figures): string => `${size(of.pinnedBytes)} (${percent(of.share)} of memory)`;
const queued = (of: Figures): string =>
  `${of.sockets === undefined ? 'Its' : 'Their'} queues contain ${text(of.skbs)} skbs with ${size(of.payloadBytes)} of data`;

function allocationWords(of: Figures): Words {
  if (of.comm === undefined)
    return `Allocation failure: ${said(of, 'what', 'percpu', 'slab', 'xfs', 'zram', 'overcommit')}.`;
  const what = of.milliseconds == null ? 'failure' : 'stall';
  const name =
    of.order == null
      ? `vmalloc allocation ${what} (${text(of.vmalloc)})`
      : `Page allocation ${what}: order ${text(of.order)}`;
  const time = of.milliseconds == null ? '' : `, ${text(of.milliseconds)} ms`;
  return [
    `${name} (${text(of.gfp)}) in ${text(of.comm)}${time}.`,
    of.freeBytes == null
      ? 'The log does not show how much memory was free.'
      : `${size(of.freeBytes)} was free, ${size(of.freeInLargeBlocksBytes)} of it in large enough blocks.`,
  ];
}

/** Further unread sockets of one process, without a sum: they may share pinned memory. */
export function othersWords(others: readonly Finding[]): string {
  const fds = others.slice(0, 3).map(({ figures }) => text(figures.fd));
  const more = others.length > fds.length ? ', …' : '';
  const sockets = others.length === 1 ? 'socket' : 'sockets';
  return `It is not reading ${others.length} more ${sockets} (fd ${fds.join(', ')}${more}).`;
}

/** The name that people search for, and where it was. */
function named(of: Figures, title?: string): string {
  const name = title === undefined ? said(of, 'what', 'kind', 'symbol') : text(title);
  const cpu = of.cpu == null ? '' : ` on CPU ${text(of.cpu)}`;
  const task = of.pid == null ? '' : ` in ${process(of)}`;
  return `${name.replace(/[.!]$/, '')}${cpu}${task}.`;
}

/** State of the thread that is nearest to reading. */
const DOING: Readonly<Record<string, (of: Figures) => string>> = {
  stopped: () => 'All its threads are stopped.',
  running: () => 'One of its threads is running.',
  receiving: () =>
    'One of its threads waits in a receive call, on this socket or another (stack trace).',
  polling: () => 'One of its threads waits for events (stack trace).',
  elsewhere: (of) => `It waits in ${text(of.symbol)} (stack trace).`,
};

function stalledWords(of: Figures): Words {
  return [
    `Stalled reader: ${process(of)} is not reading fd ${text(of.fd)}.`,
    `${size(of.unreadBytes)} is queued and pins ${size(of.pinnedBytes)}.`,
    `The newest data arrived ${text(of.ageSeconds)} s ago.`,
    ...(of.windowBytes === 0 ? ['The receive window is 0: the peer cannot send more.'] : []),
    DOING[String(of.doing)]?.(of) ?? 'The state of its threads is unknown.',
  ];
}

function oopsWords(of: Figures): Words {
  const module = of.module == null ? '' : ` [${text(of.module)}]`;
  const where = of.symbol == null ? '' : ` in ${text(of.symbol)}${module}`;
  const what =
    of.address == null
      ? `Kernel oops${where}: ${said(of, 'trap', 'place', 'kind', 'error')}.`
      : `Kernel oops: invalid memory access at 0x${text(of.address)}${where}.`;
  return [what, ...running(of)];
}

/** The sentence of a rule, with figures formatted by their names. */
function filled(sentence: string, figures: Figures): string {
  return sentence
    .split(PLACE)
    .map((part, index) => (index % 2 === 0 ? escapeText(part) : figureWords(part, figures[part])))
    .join('');
}

function figureWords(name: string, figure: Figure | undefined): string {
  if (typeof figure === 'number' && /[bB]ytes$/.test(name)) return size(figure);
  if (typeof figure === 'number' && /[sS]hare$/.test(name)) return percent(figure);
  return text(figure);
}

/** A finding: its headline, which begins with its name, and further sentences. */
export function findingSentences({
  code,
  figures,
  rule,
  title,
}: Pick<Finding, 'code' | 'figures' | 'rule' | 'title'>): readonly [string, ...string[]] {
  const { times, others, boot, boots, bootId, log } = figures;
  const words = rule ? filled(rule.message, figures) : WORDS[code as FindingCode](figures, title);
  const [headline, ...details] = typeof words === 'string' ? ([words] as const) : words;
  if (typeof times === 'number' && times > 1) details.push(`Seen ${times} times.`);
  if (typeof others === 'number')
    details.push(`${others} more findings of this kind are not listed.`);
  if (boot != null)
    details.push(
      `Boot ${text(boot)}${bootId == null ? '' : ` (${text(bootId)})`} of ${text(boots)} in the log.`,
    );
  if (log != null) details.push(`Log: ${text(log)}.`);
  return [headline, ...details];
}

/** The name by which bug trackers know it, where the headline does not contain it. */
export function titleWords(finding: Finding): string | undefined {
  if (finding.title === undefined) return undefined;
  const title = escapeText(finding.title);
  const known = findingSentences(finding)[0].toLowerCase();
  return known.includes(title.toLowerCase()) ? undefined : title;
}

/** The same in one text. */
export function findingWords(finding: Parameters<typeof findingSentences>[0]): string {
  return findingSentences(finding).join(' ');
}

/** The advice of a rule; undefined: none. */
export function adviceWords({
  figures,
  rule,
}: Pick<Finding, 'figures' | 'rule'>): string | undefined {
  return rule?.advice === undefined ? undefined : filled(rule.advice, figures);
}
