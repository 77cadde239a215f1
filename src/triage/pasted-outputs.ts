import { grouped } from '../base/util.js';
import { DF, NETSTAT, type Pasted, type PastedPart } from '../records/pasted.js';
import { type Finding, found } from './finding.js';

/** Queued bytes of a process from which it is a note; busy programs have less. A warning: more than tcp_rmem allows by default. */
const NOTED_QUEUE = 64 * 2 ** 10;
const LARGE_QUEUE = 16 * 2 ** 20;
/** A tmpfs is full from this share of its size on; smaller ones are of no account. */
const FULL = 0.95;
const MIN_TMPFS = 16 * 2 ** 20;
/** A kind of memory that is most of a cgroup, which is not small. */
const MOST = 0.5;
const MIN_BYTES = 64 * 2 ** 20;
const MAX_FINDINGS = 20;

/** Findings from outputs that show no total of the machine: netstat, df, and memory.stat of a cgroup. */
export function pastedFindings({ files, parts }: Pasted): Finding[] {
  return [
    ...[...unreadQueues(files.get(NETSTAT) ?? '')].slice(0, MAX_FINDINGS),
    ...[...fullTmpfs(files.get(DF) ?? '')].slice(0, MAX_FINDINGS),
    ...parts.flatMap((part) => [...largeInCgroup(part.figures ?? {})]),
  ];
}

/** Commands that answer from a text, by the files that they need: those with most to say first. */
const COMMANDS: readonly (readonly [command: string, file: RegExp])[] = [
  ['skcheck', /ss_-\w+$/],
  ['memory --caches', /^proc\/slabinfo$/],
  ['memory --vmalloc', /^proc\/vmallocinfo$/],
  ['procs', /ps_aux$|smaps_rollup$|status$/],
];

/** Commands that answer from a text without its memory. */
export function pastedCommands({ files }: Pasted): string[] {
  const names = [...files.keys()];
  return COMMANDS.flatMap(([command, file]) => (names.some((name) => file.test(name)) ? [command] : []));
}

/** Whether a command answers from a text. */
export function isAnsweredBy(pasted: Pasted, hasMemory: boolean): (command: string) => boolean {
  const commands = new Set([...pastedCommands(pasted), ...(hasMemory ? ['memory'] : [])]);
  return (command) => commands.has(/^\w+(?: --(?:caches|vmalloc|nodes|files|huge))?/.exec(command)?.[0] ?? '');
}

/** Receive queues; that of a listening socket counts connections, not bytes. */
const NETSTAT_ROW =
  /^((?:tcp|udp|raw)6?) +(\d{1,15}) +\d+ +(\S+) +(\S+)(?! +LISTEN)(?: +.*?)??(?: (\d{1,10})\/(\S.*?))?(?: +off .*)?$/gm;

function* unreadQueues(text: string): Generator<Finding> {
  const rows = Array.from(text.matchAll(NETSTAT_ROW), ([, protocol = '', queued, local = '', , pid, comm]) => ({
    name: `${protocol} ${local}`,
    bytes: Number(queued),
    pid: pid === undefined ? null : Number(pid),
    comm: comm?.trim() ?? null,
  }));
  yield* agelessQueues(rows);
}

/** A receive queue, of which nothing shows how long its data waits. Names are untrusted. */
export interface AgelessQueue {
  readonly name: string;
  readonly bytes: number;
  readonly pid: number | null;
  readonly comm: string | null;
}

/** Processes with much unread data. */
export function* agelessQueues(queues: readonly AgelessQueue[]): Generator<Finding> {
  const largestFirst = queues.filter(({ bytes }) => bytes > 0).toSorted((a, b) => b.bytes - a.bytes);
  for (const members of grouped(largestFirst, ({ pid, name }) => pid ?? name).values()) {
    const [largest] = members;
    const unreadBytes = members.reduce((sum, { bytes }) => sum + bytes, 0);
    if (!largest || unreadBytes < NOTED_QUEUE) continue;
    const { name: local, pid, comm } = largest;
    const unknown = { unaccepted: null, pinnedBytes: null, peersBytes: null, ageSeconds: null };
    const figures = { sockets: members.length, pid, comm, local, unreadBytes, ...unknown };
    yield found('unread-sockets', unreadBytes >= LARGE_QUEUE ? 'warning' : 'note', figures, 'skcheck');
  }
}

const DF_ROW = /^(tmpfs|shm|ramfs|\S+ +(?:tmpfs|ramfs)) +([\d.,]+)([KMGT]?) +([\d.,]+)([KMGT]?) +\S+ +\S+ +(\/.*)$/gm;
const UNITS = ['', 'K', 'M', 'G', 'T'];

function* fullTmpfs(text: string): Generator<Finding> {
  const [, digits = '', letter = ''] = /^[^/\n]{0,100}?\b(\d{1,13})([KM]?)(?![\d%])/.exec(text) ?? [];
  const block = digits === '' ? 1 : Number(digits) * 1024 ** UNITS.indexOf(letter);
  const bytes = (amount = '', unit = '') =>
    Number(amount.replace(',', '.')) * (unit === '' ? block : 1024 ** UNITS.indexOf(unit));
  for (const [, , size, sizeUnit, used, usedUnit, name = ''] of text.matchAll(DF_ROW)) {
    const [limitBytes, usedBytes] = [bytes(size, sizeUnit), bytes(used, usedUnit)];
    if (usedBytes < MIN_TMPFS || usedBytes < FULL * limitBytes) continue;
    const none = { share: null, pid: null, comm: null, mapped: null };
    yield found('shared-memory', 'warning', { bytes: usedBytes, kind: 'tmpfs', name, limitBytes, ...none }, 'memory');
  }
}

/** Counters of memory.stat that are large only if something fills them. */
const LARGE = [
  ['slabReclaimableBytes', 'slab_reclaimable', 'reclaimable-slab', 'note'],
  ['slabUnreclaimableBytes', 'slab_unreclaimable', 'unreclaimable-slab', 'warning'],
] as const;

function* largeInCgroup({
  limitBytes: _,
  shmemBytes: __,
  ...figures
}: NonNullable<PastedPart['figures']>): Generator<Finding> {
  const whole = Object.values(figures).reduce((sum, bytes) => sum + bytes, 0);
  for (const [figure, counter, code, severity] of LARGE) {
    const bytes = figures[figure] ?? 0;
    if (bytes < MIN_BYTES || bytes < MOST * whole) continue;
    yield found(
      code,
      severity,
      { bytes, share: bytes / whole, counter, caches: null, mostBytes: null },
      'procs --by cgroup',
    );
  }
}
