import type { Warnings } from '../../walk/warnings.js';
import type { CensusAnswer } from '../sockets.js';
import type { CacheFigures } from './answer.js';
import type { CategoryName } from './categories.js';
import type { Owner } from './category.js';
import type { FileAccount } from './files.js';
import type { FrameLedger } from './frame-ledger.js';
import type { ProcessOwners } from './process-owners.js';

/** How many owners of a category are told. */
const MOST_OWNERS = 10;

/** Categories whose frames are claimed by name: of a caller, a kind of ring, a table. */
const NAMED = ['modules', 'bpf', 'vmalloc', 'rings', 'tables', 'network-other'] as const;

interface Known {
  readonly caches: readonly CacheFigures[];
  readonly census: CensusAnswer | undefined;
  readonly files: FileAccount;
  readonly processes: ProcessOwners;
}

/** The largest owners of categories, of those that have any. */
export function ownersOf(
  pageSize: number,
  ledger: FrameLedger,
  { caches, census, files, processes }: Known,
  warnings: Warnings,
): Map<CategoryName, readonly Owner[]> {
  const owners = new Map<CategoryName, readonly Owner[]>();
  const largest = (all: readonly Owner[]) =>
    all.toSorted((a, b) => b.bytes - a.bytes).slice(0, MOST_OWNERS);
  for (const category of NAMED) {
    const kind = category === 'network-other' ? 'row' : category === 'tables' ? 'table' : 'caller';
    const named = [...ledger.ownersOf(category)].map(
      ([name, frames]): Owner => ({ kind, name, bytes: frames * pageSize }),
    );
    owners.set(category, largest(named));
  }
  for (const category of ['page-cache', 'shared'] as const)
    owners.set(category, files.owners(category, MOST_OWNERS, warnings));
  for (const reclaimable of [true, false]) {
    const own = caches.filter((cache) => cache.reclaimable === reclaimable);
    const category = reclaimable ? 'slab-reclaimable' : 'slab-unreclaimable';
    owners.set(category, largest(own.map(({ name, bytes }) => ({ kind: 'cache', name, bytes }))));
  }
  owners.set('anonymous', largest(processes.anonymous));
  owners.set('hugetlb', largest(processes.hugetlb));
  const holders = (census?.processes ?? []).filter(({ total }) => total.pageBytes > 0);
  owners.set(
    'network-sockets',
    largest(
      holders.map(({ key, total }) => ({
        ...processOf(key),
        kind: 'process',
        bytes: total.pageBytes,
      })),
    ),
  );
  return owners;
}

/** A group of sockets by process has the pid and the command in its key; what no process has, words. */
function processOf(key: string): Pick<Owner, 'name' | 'pid'> {
  const [pid, ...comm] = key.split(' ');
  return /^\d+$/.test(pid ?? '') ? { pid: Number(pid), name: comm.join(' ') } : { name: key };
}
