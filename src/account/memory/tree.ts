import type { KernelCounts } from './counters.js';
import type { Drawer, Owner } from './drawer.js';
import { DRAWERS, type DrawerGroup, type DrawerName, drawerFacts } from './drawers.js';
import type { FrameLedger } from './frame-ledger.js';
import { leafTree } from './leaf-tree.js';
import type { Missed } from './missed.js';

interface Parts {
  readonly ledger: FrameLedger;
  readonly counts: KernelCounts;
  readonly missed: Missed;
  readonly owners: ReadonlyMap<DrawerName, readonly Owner[]>;
}

/** The command that tells more of a drawer. */
const DEEPER: Partial<Record<DrawerName, string>> = {
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
const isWalked = (drawer: DrawerName): boolean => drawerFacts(drawer).takes !== undefined;

/** All drawers as one tree, whose parts add up to the frame: siblings sum to their parent. */
export function drawerTree(pageSize: number, { ledger, counts, missed, owners }: Parts): Drawer {
  const sums = ledger.sums();
  // What a walk missed is among what nothing explains.
  const anyMissed = DRAWERS.some((drawer) => isWalked(drawer) && missed.spoils(drawer));
  const counter = (name: DrawerName | DrawerGroup | 'memory'): number | null => {
    const pages = counts.get(name);
    return pages === undefined ? null : pages * pageSize;
  };
  const leaf = (drawer: DrawerName): Drawer => {
    const frames = sums.get(drawer) ?? 0;
    const rest = drawer === 'unexplained' && anyMissed;
    const why = missed.why(drawer) ?? (rest ? 'not every walk came to its end' : undefined);
    const spoiled = missed.spoils(drawer) || rest || (drawer === 'unread' && frames > 0);
    const deeper = DEEPER[drawer];
    return {
      drawer,
      frames,
      bytes: frames * pageSize,
      known: isWalked(drawer) ? 'walked' : 'flags',
      counterBytes: counter(drawer),
      owners: owners.get(drawer) ?? [],
      children: [],
      ...(deeper === undefined ? {} : { deeper }),
      complete: !spoiled,
      ...(why === undefined ? {} : { why }),
      elsewhere: ledger.elsewhere(drawer),
    };
  };
  return leafTree({ known: 'walked', leaf, counter });
}
