import type { MemoryAnswer } from '../account/memory/answer.js';
import { attempted } from '../account/memory/missed.js';
import { type Category, leaves } from '../account/memory/tree.js';
import { type LargestProgram, largestProgram } from '../account/processes/groups.js';
import { damaged } from '../base/errors.js';
import type { Kernel } from '../kernel/kernel.js';
import { addressSpaces } from '../walk/processes/address-spaces.js';
import { StructReader } from '../walk/struct-reader.js';
import { taskTable } from '../walk/tasks/task-table.js';
import type { Warnings } from '../walk/warnings.js';
import { type Figure, type Finding, type FindingCode, severityOf } from './finding.js';
import { MAX_CACHES, MIN_BYTES, programFigures, SHARED_SEVERE_SHARE, SLAB_SHARE } from './host-memory.js';

interface Subject {
  readonly code: FindingCode;
  readonly next: string | ((figures: Figures) => string);
  readonly figures: (kernel: Kernel, category: Category, warnings: Warnings) => Figures;
}
type Figures = Readonly<Record<string, Figure>>;

/** Memory of the kernel that is small on a healthy machine, and the figures that name its owner. */
const SUBJECTS: Readonly<Record<string, Subject>> = {
  'kernel-stacks': {
    code: 'kernel-stacks',
    next: 'procs --sort threads',
    figures: (kernel, _, warnings) => largest(warnings, ['threads', 'threads'], () => threadsOf(kernel)),
  },
  'page-tables': {
    code: 'page-tables',
    next: 'procs --sort page-tables',
    figures: (kernel, { bytes }, warnings) =>
      largest(warnings, ['page tables', 'mostBytes'], () => tablesOf(kernel, bytes), bytes),
  },
  'slab-unreclaimable': {
    code: 'unreclaimable-slab',
    next: 'memory --caches',
    figures: (_, { owners }) => ({
      caches:
        owners
          .slice(0, MAX_CACHES)
          .map(({ name }) => name)
          .join(', ') || null,
      mostBytes: owners[0]?.bytes ?? null,
    }),
  },
  vmalloc: ofAreas(),
  bpf: ofAreas(),
  modules: ofAreas(),
  pipes: {
    code: 'pipes',
    next: ({ pid }) => (pid === null ? 'memory -v' : `procs --pid ${pid} --fds`),
    figures: (_, { owners: [most] }) => ({
      pid: most?.pid ?? null,
      comm: most?.pid === undefined ? null : most.name,
      mostBytes: most?.bytes ?? null,
    }),
  },
};

function ofAreas(): Subject {
  return {
    code: 'vmalloc',
    next: 'memory --vmalloc',
    figures: (_, { owners: [most] }) => ({
      caller: most?.name ?? null,
      callerBytes: most?.bytes ?? null,
      pid: null,
      comm: null,
      mapBytes: null,
    }),
  };
}

/** Kernel memory out of proportion, with its largest owner. */
export function kernelMemory(
  kernel: Kernel,
  { memory, sharedFiles = [] }: Pick<MemoryAnswer, 'memory' | 'sharedFiles'>,
  warnings: Warnings,
): Finding[] {
  const shared = sharedFiles.flatMap(({ name, bytes, mapped, opener }): Finding[] => {
    const share = bytes / memory.bytes;
    if (severityOf(bytes, memory.bytes) === undefined) return [];
    const { pid = null, comm = null } = opener ?? {};
    const figures = { kind: 'file', name, bytes, share, pid, comm, mapped: mapped ? 1 : 0 };
    const severity = !mapped && share >= SHARED_SEVERE_SHARE ? 'warning' : 'note';
    return [{ code: 'shared-memory', severity, figures, evidence: [], next: 'memory --files' }];
  });
  const found = leaves(memory).flatMap((category): Finding[] => {
    const { category: name, bytes } = category;
    const subject = SUBJECTS[name];
    const share = bytes / memory.bytes;
    const isLittle = name.startsWith('slab') && (share < SLAB_SHARE || bytes < MIN_BYTES);
    const severity = severityOf(bytes, memory.bytes);
    if (!subject || severity === undefined || isLittle) return [];
    const { code, next } = subject;
    const figures = { bytes, share, ...subject.figures(kernel, category, warnings) };
    const shown = typeof next === 'string' ? next : next(figures);
    return [{ code, severity, figures, evidence: [], next: shown }];
  });
  return [...found, ...shared];
}

type Amount = Omit<LargestProgram, 'processes'>;

/**
 * The program with the largest amount; null: unreadable, which is a warning.
 *
 * @param names of the amount, in words and as a figure
 * @param all the sum of all amounts, if it is known
 */
function largest(
  warnings: Warnings,
  [what, name]: readonly [what: string, name: string],
  amounts: () => Iterable<Amount>,
  all?: number,
): Figures {
  const most = attempted(warnings, `${what} of processes`, () => largestProgram(amounts(), all));
  return programFigures(most, name);
}

/** Number of threads of each process, by its list of threads. */
function* threadsOf(kernel: Kernel): Generator<Amount> {
  const { processes, threads } = taskTable(kernel);
  for (const process of processes)
    if (!process.kernelThread) {
      const { pid, comm } = process;
      yield { pid, comm, amount: threads(process).length };
    }
}

/**
 * Bytes of page tables of each process (pgtables_bytes of mm_types.h, since 4.15).
 *
 * @param most bytes of all page tables
 * @throws {KernelError} `damaged`: one has more than all
 */
function* tablesOf(kernel: Kernel, most: number): Generator<Amount> {
  const memory = new StructReader(kernel, 'mm_struct', ['pgtables_bytes.counter']);
  for (const { mm, processes } of addressSpaces(kernel)) {
    const [first] = processes;
    if (!first) continue;
    const amount = memory.read(mm).number('pgtables_bytes.counter');
    if (amount > most && !kernel.facts.live)
      throw damaged(`pid ${first.pid} has ${amount} bytes of page tables, all have ${most}`);
    yield { pid: first.pid, comm: first.comm, amount };
  }
}
