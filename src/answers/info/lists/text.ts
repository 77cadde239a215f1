import { escapeText } from '../../../base/escape.js';
import { count, formatCount, formatSize } from '../../../base/size.js';
import { hex } from '../../../base/util.js';
import type { ListAnswer, ListName } from '../../../contracts/lists.js';
import { wrap } from '../../text/cut.js';
import { type Column, renderTable } from '../../text/table.js';

/** A sentence, and a table if there are rows. @param width columns of the terminal; null: no terminal */
function sentenceAndTable<Row>(
  sentence: string,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width: number | null,
): string {
  const head = wrap(sentence, width).join('\n');
  return rows.length === 0 ? head : `${head}\n\n${renderTable(columns, rows, width)}`;
}

/** Begins a sentence with a number of things; "at least" in an incomplete answer. */
function counted(complete: boolean, number: number, noun: string): string {
  return `${complete ? '' : 'At least '}${count(number, noun)}`;
}

const sum = <Row>(rows: readonly Row[], of: (row: Row) => number) =>
  formatSize(rows.reduce((total, row) => total + of(row), 0));
const sizeOrDash = (bytes: number | null) => (bytes === null ? '-' : formatSize(bytes));
const textOrUnknown = (text: string | null) => (text === null ? '?' : escapeText(text));

const MODULES: readonly Column<ListAnswer<'modules'>['modules'][number]>[] = [
  { heading: 'MODULE', value: ({ name }) => escapeText(name) },
  { heading: 'SIZE', align: 'right', value: ({ sizeBytes }) => formatSize(sizeBytes) },
  { heading: 'CODE', align: 'right', value: ({ textBytes }) => formatSize(textBytes), spare: 2 },
  { heading: 'USERS', align: 'right', value: ({ references }) => `${references ?? '-'}` },
  { heading: 'STATE', value: ({ state }) => state ?? '?', spare: 3 },
  { heading: 'TAINT', value: ({ taints }) => escapeText(taints.join('')) || '-', spare: 1 },
  { heading: 'USED BY', value: ({ usedBy }) => escapeText(usedBy.join(',')), shrinks: { keeps: 'start', least: 12 } },
];

const MOUNTS: readonly Column<ListAnswer<'mounts'>['mounts'][number]>[] = [
  { heading: 'SOURCE', value: ({ source }) => textOrUnknown(source), shrinks: { keeps: 'ends', least: 8 } },
  { heading: 'PATH', value: ({ path }) => textOrUnknown(path), shrinks: { keeps: 'ends', least: 16 } },
  { heading: 'TYPE', value: ({ fsType }) => escapeText(fsType) },
  { heading: 'DEVICE', value: ({ device }) => device, spare: 2 },
  { heading: 'OPTIONS', value: ({ options }) => options.join(','), spare: 1 },
];

const SWAP: readonly Column<ListAnswer<'swap'>['devices'][number]>[] = [
  { heading: 'PATH', value: ({ path }) => textOrUnknown(path), shrinks: { keeps: 'ends', least: 16 } },
  { heading: 'TYPE', value: ({ kind }) => kind, spare: 2 },
  { heading: 'SIZE', align: 'right', value: ({ sizeBytes }) => formatSize(sizeBytes) },
  { heading: 'USED', align: 'right', value: ({ usedBytes }) => formatSize(usedBytes) },
  { heading: 'USED SLOTS', align: 'right', value: ({ usedSlotBytes }) => sizeOrDash(usedSlotBytes), spare: 1 },
  { heading: 'PRIORITY', align: 'right', value: ({ priority }) => `${priority}` },
];

const SEGMENTS: readonly Column<ListAnswer<'shared-memory'>['segments'][number]>[] = [
  { heading: 'SHMID', align: 'right', value: ({ id }) => `${id}` },
  { heading: 'KEY', value: ({ key }) => hex(key) },
  { heading: 'UID', align: 'right', value: ({ uid }) => `${uid}`, spare: 2 },
  { heading: 'MODE', align: 'right', value: ({ permissions }) => permissions, spare: 3 },
  { heading: 'SIZE', align: 'right', value: ({ sizeBytes }) => formatSize(sizeBytes) },
  { heading: 'RSS', align: 'right', value: ({ residentBytes }) => sizeOrDash(residentBytes) },
  { heading: 'SWAP', align: 'right', value: ({ swapBytes }) => sizeOrDash(swapBytes) },
  { heading: 'ATTACHES', align: 'right', value: ({ attaches }) => formatCount(attaches) },
  { heading: 'CREATOR PID', align: 'right', value: ({ creatorPid }) => `${creatorPid ?? '-'}` },
  { heading: 'LAST PID', align: 'right', value: ({ lastPid }) => `${lastPid ?? '-'}`, spare: 1 },
  { heading: 'LAST ATTACH', value: ({ attachTime }) => attachTime?.slice(0, 19).replace('T', ' ') ?? '-', spare: 5 },
  { heading: 'STATUS', value: ({ removed }) => (removed ? 'removed' : ''), spare: 4 },
];

type Cpu = ListAnswer<'run-queues'>['cpus'][number];

/** A task of a CPU: the running one, with figures of the CPU, or another. */
interface QueueRow {
  readonly of: Cpu | undefined;
  readonly task: string;
  readonly queued: Pick<Cpu['tasks'][number], 'class' | 'priority'> | undefined;
}

const QUEUES: readonly Column<QueueRow>[] = [
  { heading: 'CPU', align: 'right', value: ({ of }) => `${of?.cpu ?? ''}` },
  { heading: 'RUNNABLE', align: 'right', value: ({ of }) => (of ? formatCount(of.running) : '') },
  { heading: 'TASK', value: ({ task }) => task, shrinks: { keeps: 'start', least: 24 } },
  { heading: 'CLASS', value: ({ queued }) => queued?.class ?? '-' },
  { heading: 'PRIORITY', align: 'right', value: ({ queued }) => `${queued?.priority ?? '-'}` },
];

function queueRows(cpu: Cpu): QueueRow[] {
  const { current, tasks } = cpu;
  const name = ({ pid, comm }: Cpu['current']) => `pid ${pid} (${escapeText(comm)})`;
  const own = tasks.find(({ address }) => address === current.address);
  const first = current.pid === 0 ? 'idle' : `${name(current)}, running`;
  const others = tasks.filter((task) => task !== own);
  return [
    { of: cpu, task: first, queued: own },
    ...others.map((task) => ({
      of: undefined,
      task: `${name(task)}${task.throttled ? ', throttled' : ''}`,
      queued: task,
    })),
  ];
}

const TEXTS: {
  readonly [Name in ListName]: (list: ListAnswer<Name>, width: number | null) => string;
} = {
  modules({ modules, complete }, width) {
    const bytes = sum(modules, ({ sizeBytes }) => sizeBytes);
    const sentence = `${counted(complete, modules.length, 'loaded module')}, ${bytes} without init sections.`;
    const rows = modules.toSorted((a, b) => b.sizeBytes - a.sizeBytes);
    return sentenceAndTable(sentence, MODULES, rows, width);
  },
  mounts({ mounts, namespace, complete }, width) {
    const sentence = `${counted(complete, mounts.length, 'mount')} in mount namespace ${namespace}.`;
    return sentenceAndTable(sentence, MOUNTS, mounts, width);
  },
  swap({ devices, complete }, width) {
    const used = sum(devices, ({ usedBytes }) => usedBytes);
    const size = sum(devices, ({ sizeBytes }) => sizeBytes);
    const some = `${counted(complete, devices.length, 'swap device')}: ${used} of ${size} used.`;
    const none = `No ${complete ? '' : 'readable '}swap device is in use.`;
    return sentenceAndTable(devices.length === 0 ? none : some, SWAP, devices, width);
  },
  'shared-memory'({ segments, complete }, width) {
    if (segments.length === 0 && complete) return 'No System V shared memory segment exists.';
    const size = sum(segments, ({ sizeBytes }) => sizeBytes);
    const resident = sum(segments, ({ residentBytes }) => residentBytes ?? 0);
    const sentence = `${counted(complete, segments.length, 'System V shared memory segment')}: ${size}, of which ${resident} are in memory.`;
    const rows = segments.toSorted((a, b) => (b.residentBytes ?? 0) - (a.residentBytes ?? 0));
    return sentenceAndTable(sentence, SEGMENTS, rows, width);
  },
  'run-queues'({ cpus, complete }, width) {
    const running = cpus.reduce((total, cpu) => total + cpu.running, 0);
    const idle = cpus.filter(({ current }) => current.pid === 0).length;
    const sentence = `${counted(complete, running, 'runnable task')} on ${counted(true, cpus.length, 'CPU')}; ${formatCount(idle)} idle.`;
    return sentenceAndTable(sentence, QUEUES, cpus.flatMap(queueRows), width);
  },
};

/** @param width columns of the terminal; null: no terminal */
export function listText<Name extends ListName>(name: Name, list: ListAnswer<Name>, width: number | null): string {
  return TEXTS[name](list, width);
}
