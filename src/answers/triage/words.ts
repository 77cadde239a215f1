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
/** What a line said, whichever of its forms it had. */
const said = (figures: Figures, ...names: readonly string[]): string =>
  names.flatMap((name) => (figures[name] == null ? [] : text(figures[name]))).join(': ');

/** Why the reason of a panic is unknown: what is not there says nothing. */
const unloggedWords = ({ logMessages }: Figures): string =>
  logMessages === null
    ? 'the reason is unknown, because the log is not available'
    : 'the log does not say why';

const WORDS: Readonly<Record<FindingCode, (figures: Figures, title?: string) => string>> = {
  panic: (of) => {
    const who = of.pid == null ? '' : ` On CPU ${text(of.cpu)}, while it ran ${process(of)}.`;
    const cause = of.cause == null ? '' : ` Before that: ${text(of.cause).replace(/\.$/, '')}.`;
    return `The kernel stopped: ${of.reason == null ? unloggedWords(of) : text(of.reason)}.${who}${cause}`;
  },
  oops: oopsWords,
  'soft-lockup': (of) =>
    `CPU ${text(of.cpu)} ran nothing but ${process(of)} for ${text(of.seconds)} s.`,
  'hard-lockup': (of) => `CPU ${text(of.cpu)} did not even take interrupts.`,
  'rcu-stall': (of) => `A CPU did not pass through a quiet state in time (${text(of.flavour)}).`,
  'hung-task': (of) =>
    `${process(of)} waited for more than ${text(of.seconds)} s and could not be interrupted.`,
  'blocked-tasks': (of) =>
    of.tasks === 1
      ? `${process(of)} waits in ${text(of.symbol)} and cannot be interrupted.`
      : `${text(of.tasks)} tasks, ${process(of)} among them, wait in ${text(of.symbol)} and cannot be interrupted.`,
  'oom-kill': oomWords,
  'allocation-failure': (of) =>
    of.comm === undefined
      ? `An allocation failed: ${said(of, 'what', 'percpu', 'slab', 'xfs', 'zram', 'overcommit')}.`
      : `${of.order == null ? `A vmalloc allocation (${text(of.vmalloc)})` : `An order-${text(of.order)} allocation`} (${text(of.gfp)}) by ${text(of.comm)} ${of.milliseconds == null ? 'failed' : `stalled for ${text(of.milliseconds)} ms`}: ${
          of.freeBytes == null
            ? 'the log does not show how much memory was free'
            : `${size(of.freeBytes)} were free, ${size(of.freeInLargeBlocksBytes)} of that in blocks that are large enough`
        }.`,
  'memory-corruption': (of) =>
    `Somebody wrote where it must not: ${said(of, 'cache', 'what', 'list', 'kasan', 'slab', 'saturated')}.`,
  'hardware-error': (of) =>
    `The hardware reported an error: ${said(of, 'what', 'error', 'device', 'kind')}.`,
  'kernel-warning': (of, title) =>
    of.place == null
      ? named(of, title)
      : `The kernel warned at ${text(of.place)}${of.symbol == null ? '' : `, in ${text(of.symbol)}`}.`,
  lockdep: named,
  'atomic-sleep': named,
  'spinlock-bug': named,
  'workqueue-lockup': named,
  'memory-leak': named,
  'uninitialized-value': named,
  'data-race': named,
  'undefined-behavior': named,
  'network-memory': (of) =>
    `The network ran out of something: ${said(of, 'protocol', 'what', 'table', 'neighbours', 'routes', 'files')}.`,
  'file-system-error': (of) =>
    of.server != null
      ? `The NFS server ${text(of.server)} does not respond.`
      : `A file system or a disk failed: ${said(of, 'system', 'io', 'device', 'journal', 'journalErrors', 'shutdown', 'swap', 'controller')}${of.readOnly == null ? '' : `${text(of.readOnly)} is read-only now`}.`,
  'waiting-data': (of) =>
    `${size(of.pinnedBytes)} (${percent(of.share)} of memory) wait in one socket of ${process(of)}, fd ${text(of.fd)}: ${text(of.skbs)} skbs with ${size(of.payloadBytes)} of data, most in its ${text(of.queue)} queue.`,
  'waiting-data-of-process': (of) =>
    `${size(of.pinnedBytes)} (${percent(of.share)} of memory) wait in ${text(of.sockets)} sockets of ${process(of)}: ${text(of.skbs)} skbs with ${size(of.payloadBytes)} of data. To end it gives back ${of.freedIfKilledBytes === null ? 'an amount that is not known' : `${size(of.freedIfKilledBytes)} at least`}.`,
  'waiting-data-of-machine': (of) =>
    `${size(of.pinnedBytes)} (${percent(of.share)} of memory) wait in queues of ${text(of.sockets)} sockets of many: ${text(of.skbs)} skbs with ${size(of.payloadBytes)} of data. Most is at ${of.pid === null ? 'no process' : process(of)}, ${size(of.mostBytes)}.`,
  'stalled-reader': stalledWords,
  'unattributed-memory': (of) =>
    `${size(of.bytes)} (${percent(of.share)} of memory) are given out, and nothing tells to whom: mostly blocks of order ${text(of.mostOrder)}.`,
  'low-memory': (of) =>
    `Zone ${text(of.zone)} of node ${text(of.node)} has ${size(of.freeBytes)} free, less than the ${size(of.minBytes)} that the kernel keeps for itself.`,
  tainted: (of) =>
    `The kernel is tainted: ${taintFlags(BigInt(of.mask ?? 0))
      .map(({ words }) => words)
      .join(', ')}.`,
};

/** Of sockets that differ from one that was told by nothing else. What they pin they may share: it has no sum. */
export function othersWords(others: readonly Finding[]): string {
  const fds = others.slice(0, 3).map(({ figures }) => text(figures.fd));
  const more = others.length > fds.length ? ', …' : '';
  const which = `fd ${fds.join(', ')}${more}`;
  return others.length === 1
    ? `Another of its sockets waits like this (${which})`
    : `${others.length} more of its sockets wait like this (${which})`;
}

/** The name by which people search for it, and where it was. */
function named(of: Figures, title?: string): string {
  const name = title === undefined ? said(of, 'what', 'kind', 'symbol') : text(title);
  const cpu = of.cpu == null ? '' : ` on CPU ${text(of.cpu)}`;
  const task = of.pid == null ? '' : ` in ${process(of)}`;
  return `${name.replace(/[.!]$/, '')}${cpu}${task}.`;
}

/** What the thread that is nearest to reading does. */
const DOING: Readonly<Record<string, (of: Figures) => string>> = {
  stopped: () => 'all its threads are stopped',
  running: () => 'a thread of it runs',
  receiving: () => 'a thread of it waits in a call that receives, of this socket or another',
  polling: () => 'a thread of it waits for events',
  elsewhere: (of) => `it waits elsewhere, in ${text(of.symbol)}`,
};

function stalledWords(of: Figures): string {
  const peer = of.windowBytes === 0 ? ', and the peer may send no more' : '';
  const doing = DOING[String(of.doing)]?.(of) ?? 'what it does is not known';
  return `${process(of)} takes nothing from fd ${text(of.fd)}: ${size(of.unreadBytes)} wait unread, the newest for ${text(of.ageSeconds)} s${peer}. They pin ${size(of.pinnedBytes)}. As far as stacks tell, ${doing}.`;
}

function oopsWords(of: Figures): string {
  const module = of.module == null ? '' : ` [${text(of.module)}]`;
  const where = of.symbol == null ? '' : ` in ${text(of.symbol)}${module}`;
  const who = of.pid == null ? '' : `, on CPU ${text(of.cpu)}, while it ran ${process(of)}`;
  return of.address == null
    ? `A fault in the kernel${where}: ${said(of, 'trap', 'place', 'kind', 'error')}${who}.`
    : `The kernel followed a bad pointer to 0x${text(of.address)}${where}${who}.`;
}

/** A sentence of a team's own rule, with figures by what their names say that they are. */
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

/** A finding in a sentence or two. */
export function findingWords({
  code,
  figures,
  told,
  title,
}: Pick<Finding, 'code' | 'figures' | 'told' | 'title'>): string {
  const { times, others, boot, boots, bootId, log } = figures;
  const more = typeof others === 'number' ? ` And ${others} more like it, of others.` : '';
  const again = typeof times === 'number' && times > 1 ? ` So ${times} times.` : '';
  const sentence = told ? filled(told.says, figures) : WORDS[code as FindingCode](figures, title);
  const where =
    boot == null
      ? ''
      : ` Boot ${text(boot)}${bootId == null ? '' : ` (${text(bootId)})`} of ${text(boots)} in the log.`;
  const source = log == null ? '' : ` Log: ${text(log)}.`;
  return `${sentence}${again}${more}${where}${source}`;
}

/** What a team's own rule says to do; undefined: nothing. */
export function adviceWords({
  figures,
  told,
}: Pick<Finding, 'figures' | 'told'>): string | undefined {
  return told?.advice === undefined ? undefined : filled(told.advice, figures);
}
