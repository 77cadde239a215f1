import { wrap } from '../../text/cut.js';
import { escapeText } from '../../text/escape.js';
import { formatCount, formatSize } from '../../text/size.js';
import { type Column, renderTable } from '../../text/table.js';
import type {
  ModulesJson,
  MountsJson,
  RunQueuesJson,
  SharedMemoryJson,
  SwapJson,
} from './schema.js';

/** A sentence, and a table if there are rows. @param width columns of the terminal; null: no terminal */
function listText<Row>(
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
  return `${complete ? '' : 'At least '}${formatCount(number)} ${noun}${number === 1 ? '' : 's'}`;
}

const sum = <Row>(rows: readonly Row[], of: (row: Row) => number) =>
  formatSize(rows.reduce((total, row) => total + of(row), 0));
const sizeOrDash = (bytes: number | null) => (bytes === null ? '-' : formatSize(bytes));
const textOrUnknown = (text: string | null) => (text === null ? '?' : escapeText(text));

type Rows<List extends keyof Json, Json> = Json[List] extends readonly (infer Row)[] ? Row : never;

const MODULES: readonly Column<Rows<'modules', ModulesJson>>[] = [
  { heading: 'MODULE', value: ({ name }) => escapeText(name) },
  { heading: 'SIZE', align: 'right', value: ({ sizeBytes }) => formatSize(sizeBytes) },
  { heading: 'CODE', align: 'right', value: ({ textBytes }) => formatSize(textBytes), spare: 2 },
  { heading: 'USERS', align: 'right', value: ({ references }) => `${references ?? '-'}` },
  { heading: 'STATE', value: ({ state }) => state ?? '?', spare: 3 },
  { heading: 'TAINT', value: ({ taints }) => escapeText(taints.join('')) || '-', spare: 1 },
  {
    heading: 'USED BY',
    value: ({ usedBy }) => escapeText(usedBy.join(',')),
    shrinks: { keeps: 'start', least: 12 },
  },
];

export function modulesText({ modules, complete }: ModulesJson, width: number | null): string {
  const bytes = sum(modules, ({ sizeBytes }) => sizeBytes);
  const sentence = `${counted(complete, modules.length, 'loaded module')}, ${bytes} without init sections.`;
  const rows = modules.toSorted((a, b) => b.sizeBytes - a.sizeBytes);
  return listText(sentence, MODULES, rows, width);
}

const MOUNTS: readonly Column<Rows<'mounts', MountsJson>>[] = [
  {
    heading: 'SOURCE',
    value: ({ source }) => textOrUnknown(source),
    shrinks: { keeps: 'ends', least: 8 },
  },
  {
    heading: 'PATH',
    value: ({ path }) => textOrUnknown(path),
    shrinks: { keeps: 'ends', least: 16 },
  },
  { heading: 'TYPE', value: ({ fsType }) => escapeText(fsType) },
  { heading: 'DEVICE', value: ({ device }) => device, spare: 2 },
  { heading: 'OPTIONS', value: ({ options }) => options.join(','), spare: 1 },
];

export function mountsText(
  { mounts, namespace, complete }: MountsJson,
  width: number | null,
): string {
  const sentence = `${counted(complete, mounts.length, 'mount')} in mount namespace ${namespace}.`;
  return listText(sentence, MOUNTS, mounts, width);
}

const SWAP: readonly Column<Rows<'devices', SwapJson>>[] = [
  {
    heading: 'PATH',
    value: ({ path }) => textOrUnknown(path),
    shrinks: { keeps: 'ends', least: 16 },
  },
  { heading: 'TYPE', value: ({ kind }) => kind, spare: 2 },
  { heading: 'SIZE', align: 'right', value: ({ sizeBytes }) => formatSize(sizeBytes) },
  { heading: 'USED', align: 'right', value: ({ usedBytes }) => formatSize(usedBytes) },
  {
    heading: 'USED SLOTS',
    align: 'right',
    value: ({ usedSlotBytes }) => sizeOrDash(usedSlotBytes),
    spare: 1,
  },
  { heading: 'PRIORITY', align: 'right', value: ({ priority }) => `${priority}` },
];

export function swapText({ devices, complete }: SwapJson, width: number | null): string {
  const used = sum(devices, ({ usedBytes }) => usedBytes);
  const size = sum(devices, ({ sizeBytes }) => sizeBytes);
  const sentence =
    devices.length === 0
      ? complete
        ? 'No swap device is in use.'
        : 'No readable swap device is in use.'
      : `${counted(complete, devices.length, 'swap device')}: ${used} of ${size} used.`;
  return listText(sentence, SWAP, devices, width);
}

const SEGMENTS: readonly Column<Rows<'segments', SharedMemoryJson>>[] = [
  { heading: 'SHMID', align: 'right', value: ({ id }) => `${id}` },
  { heading: 'KEY', value: ({ key }) => key },
  { heading: 'UID', align: 'right', value: ({ uid }) => `${uid}`, spare: 2 },
  { heading: 'MODE', align: 'right', value: ({ permissions }) => permissions, spare: 3 },
  { heading: 'SIZE', align: 'right', value: ({ sizeBytes }) => formatSize(sizeBytes) },
  { heading: 'RSS', align: 'right', value: ({ residentBytes }) => sizeOrDash(residentBytes) },
  { heading: 'SWAP', align: 'right', value: ({ swapBytes }) => sizeOrDash(swapBytes) },
  { heading: 'ATTACHES', align: 'right', value: ({ attaches }) => formatCount(attaches) },
  { heading: 'CREATOR PID', align: 'right', value: ({ creatorPid }) => `${creatorPid ?? '-'}` },
  { heading: 'LAST PID', align: 'right', value: ({ lastPid }) => `${lastPid ?? '-'}`, spare: 1 },
  { heading: 'STATUS', value: ({ removed }) => (removed ? 'removed' : ''), spare: 4 },
];

export function sharedMemoryText(
  { segments, complete }: SharedMemoryJson,
  width: number | null,
): string {
  if (segments.length === 0 && complete) return 'No System V shared memory segment exists.';
  const size = sum(segments, ({ sizeBytes }) => sizeBytes);
  const resident = sum(segments, ({ residentBytes }) => residentBytes ?? 0);
  const sentence = `${counted(complete, segments.length, 'System V shared memory segment')}: ${size}, of which ${resident} are in memory.`;
  const rows = segments.toSorted((a, b) => (b.residentBytes ?? 0) - (a.residentBytes ?? 0));
  return listText(sentence, SEGMENTS, rows, width);
}

/** A CPU, or one of its tasks. */
interface QueueRow {
  readonly cpu: string;
  readonly running: string;
  readonly task: string;
  readonly class: string;
  readonly priority: string;
}

const QUEUES: readonly Column<QueueRow>[] = [
  { heading: 'CPU', align: 'right', value: ({ cpu }) => cpu },
  { heading: 'RUNNABLE', align: 'right', value: ({ running }) => running },
  { heading: 'TASK', value: ({ task }) => task, shrinks: { keeps: 'start', least: 24 } },
  { heading: 'CLASS', value: (row) => row.class },
  { heading: 'PRIORITY', align: 'right', value: ({ priority }) => priority },
];

function queueRows({ cpu, current, running, tasks }: Rows<'cpus', RunQueuesJson>): QueueRow[] {
  const name = ({ pid, comm }: typeof current) => `pid ${pid} (${escapeText(comm)})`;
  const own = tasks.find(({ address }) => address === current.address);
  const first = {
    cpu: `${cpu}`,
    running: formatCount(running),
    task: current.pid === 0 ? 'idle' : `${name(current)}, running`,
    class: own?.class ?? '-',
    priority: own === undefined ? '-' : `${own.priority}`,
  };
  const others = tasks.filter((task) => task !== own);
  return [
    first,
    ...others.map((task) => ({
      cpu: '',
      running: '',
      task: `${name(task)}${task.throttled ? ', throttled' : ''}`,
      class: task.class,
      priority: `${task.priority}`,
    })),
  ];
}

export function runQueuesText({ cpus, complete }: RunQueuesJson, width: number | null): string {
  const running = cpus.reduce((total, cpu) => total + cpu.running, 0);
  const idle = cpus.filter(({ current }) => current.pid === 0).length;
  const sentence = `${counted(complete, running, 'runnable task')} on ${counted(true, cpus.length, 'CPU')}; ${formatCount(idle)} idle.`;
  return listText(sentence, QUEUES, cpus.flatMap(queueRows), width);
}
