import { leaves, type Owner } from '../account/memory/tree.js';
import type { CensusAnswer } from '../account/sockets.js';
import type { TriageAnswer } from './answer.js';

/** The named owner of the most memory. Names are untrusted. */
export interface TopOwner {
  readonly kind: Owner['kind'];
  readonly name: string;
  readonly pid?: number | undefined;
  readonly bytes: number;
  /** `memory`: all categories with owners; `sockets`: memory pinned by sockets. */
  readonly of: 'memory' | 'sockets';
}

/** Returns the owner by memory categories, or by sockets if memory could not be counted. */
export function topOwner({ memory, census }: Pick<TriageAnswer, 'memory' | 'census'>): TopOwner | undefined {
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

/** The first of the largest. */
function largest(owners: readonly TopOwner[]): TopOwner | undefined {
  return owners.reduce<TopOwner | undefined>(
    (most, owner) => (owner.bytes > (most?.bytes ?? 0) ? owner : most),
    undefined,
  );
}
