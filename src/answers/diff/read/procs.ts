import { z } from 'zod';
import type { Flaw, Item } from '../../../diff/state.js';
import { USER_HZ } from '../../../records/processes.js';
import { cgroupKey, summed } from './memory.js';
import {
  bytesOrNull,
  contradiction,
  count,
  incompleteness,
  kernelPart,
  listOf,
  originPart,
  type ParsedState,
  warningsPart,
} from './parts.js';

export const procsAnswer = z.object({
  schema: z.literal('kdump-mem.procs/1'),
  kernel: kernelPart,
  source: z.string(),
  origin: originPart,
  allListed: z.boolean(),
  processes: listOf(
    z.object({
      pid: count,
      comm: z.string(),
      cgroup: z.string().nullable(),
      rssBytes: bytesOrNull,
      pssBytes: bytesOrNull,
      anonBytes: bytesOrNull.default(null),
      shmemBytes: bytesOrNull.default(null),
      hugetlbBytes: bytesOrNull.default(null),
      pageTableBytes: bytesOrNull.default(null),
      pssByKind: z.object({ anonBytes: count, shmemBytes: count, fileBytes: count }).nullish(),
      startTicks: bytesOrNull.default(null),
      ageSeconds: z.int().nullable(),
      nsPids: listOf(z.int()),
    }),
  ),
  total: z.object({ processes: count, rssBytes: bytesOrNull, pssBytes: bytesOrNull }),
  complete: z.boolean(),
  warnings: warningsPart,
});
type ProcsPart = z.infer<typeof procsAnswer>;

/** Parses an answer to `procs` and checks its sums. */
export function procsState(answer: ProcsPart): ParsedState {
  const { kernel, origin, allListed, processes, complete, warnings, source } = answer;
  const items = new Map<string, Item>();
  let nameless = 0;
  for (const process of processes) {
    const { pid, comm, cgroup, rssBytes, pssBytes, startTicks, pssByKind } = process;
    if (startTicks === null) {
      nameless++;
      continue;
    }
    items.set(`${pid} ${startTicks}`, {
      who: { kind: 'process', pid, comm, startTicks, cgroup },
      sizes: {
        rss: rssBytes,
        pss: pssBytes,
        pssAnon: pssByKind?.anonBytes ?? null,
        pssShmem: pssByKind?.shmemBytes ?? null,
        rssAnon: process.anonBytes,
        rssShmem: process.shmemBytes,
        hugetlb: process.hugetlbBytes,
        pageTables: process.pageTableBytes,
      },
      ofBoot: true,
      began: startTicks / USER_HZ,
    });
  }
  // Large processes without PSS are compared by RSS in all inputs, which has a note.
  const others = warnings.filter(({ code }) => code !== 'pss-not-read');
  return {
    origin,
    release: kernel?.release ?? null,
    pageSize: kernel?.pageSize ?? null,
    memory: null,
    lists: { processes: { items, whole: allListed && nameless === 0 }, ...cgroupsOf(answer) },
    flaws: [
      ...incompleteness(
        complete || (warnings.length > 0 && others.length === 0),
        others,
        `processes of ${source} are incomplete`,
      ),
      ...(nameless > 0
        ? [
            {
              code: 'incomplete' as const,
              words: `start times of ${nameless} processes are missing, so they cannot be matched`,
            },
          ]
        : []),
      ...faultsOf(answer),
    ],
  };
}

/** Maximum duration of a scan in seconds: a machine with very many processes takes time to read. */
const READ_WITHIN = 60;

/** Sums processes by cgroup; only if all processes are listed with their cgroups. */
function cgroupsOf({ processes, allListed }: ProcsPart): ParsedState['lists'] {
  if (!allListed || processes.some(({ cgroup }) => cgroup === null)) return {};
  const cgroups = summed(
    processes.map(({ cgroup, rssBytes, pssBytes }) => ({
      key: cgroupKey(cgroup ?? '', false),
      who: { kind: 'cgroup' as const, path: cgroup ?? '', dying: false },
      sizes: { pss: pssBytes, rss: rssBytes },
    })),
  );
  return { cgroups };
}

function faultsOf({ processes, total, origin }: ProcsPart): Flaw[] {
  const pids = new Set(processes.map(({ pid }) => pid));
  const wrong = (['rssBytes', 'pssBytes'] as const).some((size) => {
    const known = processes.flatMap((process) => process[size] ?? []);
    const sum = known.length === 0 ? null : known.reduce((all, amount) => all + amount, 0);
    return sum !== total[size];
  });
  return [
    ...(wrong || total.processes !== processes.length ? [contradiction('processes do not sum to the total')] : []),
    ...(processes.every(isSumOfKinds) ? [] : [contradiction('PSS of a process is not the sum of its kinds')]),
    ...(pids.size === processes.length ? [] : [contradiction('duplicate pid')]),
    ...(processes.every((process) => isKnown(process, origin.uptimeSeconds))
      ? []
      : [contradiction('pid, start time and age of a process disagree')]),
  ];
}

function isSumOfKinds({ pssBytes, pssByKind }: ProcsPart['processes'][number]): boolean {
  if (!pssByKind) return true;
  return pssByKind.anonBytes + pssByKind.shmemBytes + pssByKind.fileBytes === pssBytes;
}

/** Checks that the pid equals the first namespace pid, and that start time plus age equals the uptime. */
function isKnown(
  { pid, nsPids, startTicks, ageSeconds }: ProcsPart['processes'][number],
  uptime: number | null,
): boolean {
  const [first = pid] = nsPids;
  if (first !== pid) return false;
  if (startTicks === null || ageSeconds === null || uptime === null) return true;
  return Math.abs(startTicks / USER_HZ + ageSeconds - uptime) <= READ_WITHIN;
}
