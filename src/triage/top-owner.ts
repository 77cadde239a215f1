import type { Owner } from '../account/memory/category.js';
import { leaves } from '../account/memory/leaves.js';
import type { CensusAnswer } from '../account/sockets.js';
import type { TriageAnswer } from './triage.js';

/** Who has most of the memory, of those who are known by name. Names are hostile. */
export interface TopOwner {
  readonly kind: Owner['kind'];
  readonly name: string;
  readonly pid?: number;
  readonly bytes: number;
  /** `memory`: of all categories that have room for several; `sockets`: what sockets pin alone. */
  readonly of: 'memory' | 'sockets';
}

/** By the categories of memory, and where they could not be counted by the sockets. */
export function topOwner({
  memory,
  census,
}: Pick<TriageAnswer, 'memory' | 'census'>): TopOwner | undefined {
  if (memory === undefined) return census && topOfSockets(census);
  const sums = new Map<string, TopOwner>();
  for (const { owners } of leaves(memory.memory))
    for (const { bytes, ...owner } of owners) {
      const key = JSON.stringify([owner.kind, owner.name, owner.pid]);
      const known = sums.get(key)?.bytes ?? 0;
      sums.set(key, { ...owner, bytes: known + bytes, of: 'memory' });
    }
  return largest([...sums.values()]);
}

function topOfSockets({ processes }: CensusAnswer): TopOwner | undefined {
  const owners = processes.flatMap(({ key, total }) => {
    const { pid, comm } = /^(?<pid>\d+) (?<comm>.*)$/s.exec(key)?.groups ?? {};
    if (pid === undefined || comm === undefined || total.pinnedBytes === 0) return [];
    const bytes = total.pinnedBytes;
    return [{ kind: 'process', name: comm, pid: Number(pid), bytes, of: 'sockets' } as const];
  });
  return largest(owners);
}

/** Of two that have the same, the first. */
function largest(owners: readonly TopOwner[]): TopOwner | undefined {
  return owners.reduce<TopOwner | undefined>(
    (most, one) => (one.bytes > (most?.bytes ?? 0) ? one : most),
    undefined,
  );
}
