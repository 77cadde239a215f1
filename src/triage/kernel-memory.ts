import type { MemoryAnswer } from '../account/memory/answer.js';
import { attempted } from '../account/memory/missed.js';
import { type Category, leaves } from '../account/memory/tree.js';
import { type LargestProgram, largestProgram } from '../account/processes/groups.js';
import { damaged } from '../base/errors.js';
import type { Kernel } from '../kernel/kernel.js';
import type { Severity } from '../records/triage-codes.js';
import { addressSpaces } from '../walk/processes/address-spaces.js';
import { StructReader } from '../walk/struct-reader.js';
import { taskTable } from '../walk/tasks/task-table.js';
import type { Warnings } from '../walk/warnings.js';
import { type Finding, found, severityOf } from './finding.js';
import { MAX_CACHES, programFigures } from './host-memory.js';
import { isLargePart, THRESHOLDS } from './thresholds.js';

/** A large category. */
interface Large {
  readonly kernel: Kernel;
  readonly category: Category;
  readonly severity: Severity;
  readonly share: number;
  readonly warnings: Warnings;
}

/** Memory of the kernel that is small on a healthy machine, and the figures that name its owner. */
const SUBJECTS: Readonly<Record<string, (large: Large) => Finding>> = {
  'kernel-stacks': ({ kernel, category: { bytes }, severity, share, warnings }) => {
    const most = largest(warnings, 'threads', () => threadsOf(kernel));
    return found(
      'kernel-stacks',
      severity,
      { bytes, share, ...programFigures(most, 'threads') },
      'procs --sort threads',
    );
  },
  'page-tables': ({ kernel, category: { bytes }, severity, share, warnings }) => {
    const most = largest(warnings, 'page tables', () => tablesOf(kernel, bytes), bytes);
    const figures = { bytes, share, ...programFigures(most, 'mostBytes') };
    return found('page-tables', severity, figures, 'procs --sort page-tables');
  },
  'slab-unreclaimable': ({ category: { bytes, owners }, severity, share }) => {
    const caches = owners.slice(0, MAX_CACHES).map(({ name }) => name);
    const figures = { bytes, share, caches: caches.join(', ') || null, mostBytes: owners[0]?.bytes ?? null };
    return found('unreclaimable-slab', severity, figures, 'memory --caches');
  },
  vmalloc: ofAreas,
  bpf: ofAreas,
  modules: ofAreas,
  pipes: ({ category: { bytes, owners }, severity, share }) => {
    const [most] = owners;
    const { pid = null } = most ?? {};
    const figures = {
      bytes,
      share,
      pid,
      comm: pid === null ? null : (most?.name ?? null),
      mostBytes: most?.bytes ?? null,
    };
    return found('pipes', severity, figures, pid === null ? 'memory -v' : `procs --pid ${pid} --fds`);
  },
};

function ofAreas({ category: { bytes, owners }, severity, share }: Large): Finding {
  const [most] = owners;
  const figures = { bytes, share, caller: most?.name ?? null, callerBytes: most?.bytes ?? null };
  return found('vmalloc', severity, { ...figures, pid: null, comm: null, mapBytes: null }, 'memory --vmalloc');
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
    const severity = !mapped && share >= THRESHOLDS['shared-memory'].warning ? 'warning' : 'note';
    return [found('shared-memory', severity, figures, 'memory --files')];
  });
  const large = leaves(memory).flatMap((category): Finding[] => {
    const { category: name, bytes } = category;
    const share = bytes / memory.bytes;
    const isLittle = name.startsWith('slab') && !isLargePart('unreclaimable-slab', bytes, share);
    const severity = severityOf(bytes, memory.bytes);
    if (severity === undefined || isLittle) return [];
    return SUBJECTS[name] ? [SUBJECTS[name]({ kernel, category, severity, share, warnings })] : [];
  });
  return [...large, ...shared];
}

type Amount = Omit<LargestProgram, 'processes'>;

/**
 * The program with the largest amount; undefined: unreadable, which is a warning.
 *
 * @param all the sum of all amounts, if it is known
 */
function largest(warnings: Warnings, what: string, amounts: () => Iterable<Amount>, all?: number) {
  return attempted(warnings, `${what} of processes`, () => largestProgram(amounts(), all));
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
