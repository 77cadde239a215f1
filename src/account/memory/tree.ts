import {
  CATEGORIES,
  type CategoryGroup,
  type CategoryName,
  categoryFacts,
  type Known,
} from '../../records/categories.js';
import type { KernelCounts } from './counters.js';
import type { Elsewhere, FrameLedger } from './frame-ledger.js';
import type { Missed } from './missed.js';

interface Parts {
  readonly ledger: FrameLedger;
  readonly counts: KernelCounts;
  readonly missed: Missed;
  readonly owners: ReadonlyMap<CategoryName, readonly Owner[]>;
}

/** Command that shows details of a category. */
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

/** Whether a category has a walk; the others are known by page flags. */
const isWalked = (category: CategoryName): boolean => categoryFacts(category).takes !== undefined;

/** Returns all categories as one tree: siblings sum to their parent, exact to the frame. */
export function categoryTree(pageSize: number, { ledger, counts, missed, owners }: Parts): Category {
  const sums = ledger.sums();
  // Whatever a walk missed is unattributed.
  const anyMissed = CATEGORIES.some((category) => isWalked(category) && missed.spoils(category));
  const counter = (name: CategoryName | CategoryGroup | 'memory'): number | null => {
    const pages = counts.get(name);
    return pages === undefined ? null : pages * pageSize;
  };
  const leaf = (category: CategoryName): Category => {
    const frames = sums.get(category) ?? 0;
    const rest = category === 'unattributed' && anyMissed;
    const why = missed.why(category) ?? (rest ? 'some kernel structures could not be read completely' : undefined);
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
  // ZFS's cache is not walked: no row is a zero that was not counted.
  return leafTree({ known: 'walked', leaf, counter, without: 'zfs-arc' });
}

/** Top-level groups of memory. */
const GROUPS: readonly CategoryGroup[] = ['free', 'applications-and-files', 'kernel', 'reserved', 'unknown'];

interface Leaves {
  readonly known: Category['known'];
  readonly leaf: (category: CategoryName) => Category;
  /** Returns the kernel's counter for a group or for all memory, in bytes; null or absent: there is none. */
  readonly counter?: (of: CategoryGroup | 'memory') => number | null;
  /** A category that the source cannot identify. */
  readonly without?: CategoryName;
}

/** Returns all categories as one tree: siblings sum to their parent. */
export function leafTree({ known, leaf, counter = () => null, without }: Leaves): Category {
  const parent = (category: CategoryGroup | 'memory', children: readonly Category[]): Category => ({
    category,
    frames: children.reduce((all, child) => all + child.frames, 0),
    bytes: children.reduce((all, child) => all + child.bytes, 0),
    known,
    counterBytes: counter(category),
    owners: [],
    children,
    complete: children.every(({ complete }) => complete),
    elsewhere: [],
  });
  return parent(
    'memory',
    GROUPS.map((group) =>
      parent(group, CATEGORIES.filter((name) => name !== without && categoryFacts(name).group === group).map(leaf)),
    ),
  );
}

/** Returns the categories without the groups. */
export function leaves(category: Category): Category[] {
  return category.children.length === 0 ? [category] : category.children.flatMap(leaves);
}

/** Holder of memory. Names are untrusted. */
export interface Owner {
  readonly kind: 'process' | 'cache' | 'caller' | 'table' | 'row' | 'file' | 'segment' | 'mapping' | 'tmpfs' | 'device';
  readonly name: string;
  /** Of a process; for a file, one that has it open; for a System V segment, its creator; for a tmpfs, one inside. */
  readonly pid?: number;
  /** Number of files in memory, named by the largest; undefined: one. */
  readonly files?: number;
  readonly bytes: number;
}

/** A category of page frames, or a group of categories. */
export interface Category {
  readonly category: CategoryName | CategoryGroup | 'memory';
  readonly frames: number;
  readonly bytes: number;
  readonly known: Known;
  /** The kernel's own counter; null: it has none. */
  readonly counterBytes: number | null;
  /** What page flags alone show, where a counter corrects it. */
  readonly flagBytes?: number;
  /** Largest known owners. */
  readonly owners: readonly Owner[];
  readonly children: readonly Category[];
  /** Command that shows details, without the name of the dump. */
  readonly next?: string;
  /** Nothing of it is missing. */
  readonly complete: boolean;
  /** Why it is incomplete, or not walked on such a kernel. */
  readonly why?: string;
  /** Bounds of a category that is known by counters. */
  readonly range?: { readonly leastBytes: number; readonly mostBytes: number };
  /** Frames that a walk for this category reached and that other categories have. */
  readonly elsewhere: readonly Elsewhere[];
}

/** Bytes of each category and group in one sample. */
type CategoryBytes = ReadonlyMap<Category['category'], number>;

/** Change of a category since earlier samples, bytes; null: unknown. */
export interface CategoryChange {
  readonly category: Category['category'];
  readonly sinceFirstBytes: number | null;
  readonly sinceLastBytes: number | null;
}

/** One of several samples of a running machine. */
export interface MemorySample {
  /** Sample number, starting at 1. */
  readonly number: number;
  /** Time of the sample. */
  readonly at: Date;
  readonly changes: readonly CategoryChange[];
}

/** Compares each sample with the first and the previous one, and keeps only these two. */
export class MemorySamples {
  #first: CategoryBytes | undefined;
  #last: CategoryBytes | undefined;
  #number = 0;

  /** Number of samples. */
  get count(): number {
    return this.#number;
  }

  next({ memory }: { readonly memory: Category }, at: Date): MemorySample {
    const bytes = new Map(categoriesOf(memory).map((category) => [category.category, category.bytes]));
    const since = (other: CategoryBytes | undefined, category: Category['category']) => {
      const before = other?.get(category);
      return before === undefined ? null : (bytes.get(category) ?? 0) - before;
    };
    const changes = [...bytes.keys()].map((category) => ({
      category,
      sinceFirstBytes: since(this.#first, category),
      sinceLastBytes: since(this.#last, category),
    }));
    this.#first ??= bytes;
    this.#last = bytes;
    return { number: ++this.#number, at, changes };
  }
}

function categoriesOf(category: Category): Category[] {
  return [category, ...category.children.flatMap(categoriesOf)];
}
