import { CATEGORIES, type CategoryGroup, type CategoryName, categoryFacts } from './categories.js';
import type { Category, Owner } from './category.js';
import type { KernelCounts } from './counters.js';
import type { FrameLedger } from './frame-ledger.js';
import { leafTree } from './leaf-tree.js';
import type { Missed } from './missed.js';

interface Parts {
  readonly ledger: FrameLedger;
  readonly counts: KernelCounts;
  readonly missed: Missed;
  readonly owners: ReadonlyMap<CategoryName, readonly Owner[]>;
}

/** The command that tells more of a category. */
const NEXT_COMMANDS: Partial<Record<CategoryName, string>> = {
  'page-cache': 'memory --files',
  shared: 'memory --files',
  'network-sockets': 'sockets',
  'network-other': 'sockets',
  'slab-reclaimable': 'memory --caches',
  'slab-unreclaimable': 'memory --caches',
  vmalloc: 'memory --vmalloc',
  modules: 'memory --vmalloc',
  bpf: 'memory --vmalloc',
};

/** Those that have no walk of their own: what a page is, its flags say. */
const isWalked = (category: CategoryName): boolean => categoryFacts(category).takes !== undefined;

/** All categories as one tree, whose parts add up to the frame: siblings sum to their parent. */
export function categoryTree(
  pageSize: number,
  { ledger, counts, missed, owners }: Parts,
): Category {
  const sums = ledger.sums();
  // What a walk missed is among what nothing explains.
  const anyMissed = CATEGORIES.some((category) => isWalked(category) && missed.spoils(category));
  const counter = (name: CategoryName | CategoryGroup | 'memory'): number | null => {
    const pages = counts.get(name);
    return pages === undefined ? null : pages * pageSize;
  };
  const leaf = (category: CategoryName): Category => {
    const frames = sums.get(category) ?? 0;
    const rest = category === 'unattributed' && anyMissed;
    const why = missed.why(category) ?? (rest ? 'not every walk came to its end' : undefined);
    const spoiled = missed.spoils(category) || rest || (category === 'unread' && frames > 0);
    const next = NEXT_COMMANDS[category];
    return {
      category,
      frames,
      bytes: frames * pageSize,
      known: isWalked(category) ? 'walked' : 'flags',
      counterBytes: counter(category),
      owners: owners.get(category) ?? [],
      children: [],
      ...(next === undefined ? {} : { next }),
      complete: !spoiled,
      ...(why === undefined ? {} : { why }),
      elsewhere: ledger.elsewhere(category),
    };
  };
  return leafTree({ known: 'walked', leaf, counter });
}
