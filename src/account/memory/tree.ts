import type { CategoryJson, MemoryJson } from '../../contracts/memory.js';
import { CATEGORIES, type CategoryGroup, type CategoryName, categoryFacts } from '../../records/categories.js';
import type { KernelCounts } from './counters.js';
import type { FrameLedger } from './frame-ledger.js';
import type { Missed } from './missed.js';

interface Parts {
  readonly ledger: FrameLedger;
  readonly counts: KernelCounts;
  readonly missed: Missed;
  readonly owners: ReadonlyMap<CategoryName, readonly Owner[]>;
}

/** Command that shows details of a category. */
const NEXT_COMMANDS: Partial<Record<CategoryName, string>> = {
  'page-cache': 'kdump-mem memory --files',
  shared: 'kdump-mem memory --files',
  'network-sockets': 'kdump-mem sockets',
  'network-other': 'kdump-mem sockets',
  'slab-reclaimable': 'kdump-mem memory --caches',
  'slab-unreclaimable': 'kdump-mem memory --caches',
  vmalloc: 'kdump-mem memory --vmalloc',
  modules: 'kdump-mem memory --vmalloc',
  bpf: 'kdump-mem memory --vmalloc',
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
    return makeCategory({
      category,
      frames,
      bytes: frames * pageSize,
      known: isWalked(category) ? 'walked' : 'flags',
      counterBytes: counter(category),
      owners: owners.get(category),
      next: NEXT_COMMANDS[category],
      complete: !spoiled,
      why,
      elsewhere: ledger.elsewhere(category).map((elsewhere) => ({ ...elsewhere, bytes: elsewhere.frames * pageSize })),
    });
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
  const parent = (category: CategoryGroup | 'memory', children: readonly Category[]): Category =>
    makeCategory({
      category,
      frames: children.reduce((all, child) => all + child.frames, 0),
      bytes: children.reduce((all, child) => all + child.bytes, 0),
      known,
      counterBytes: counter(category),
      children,
      complete: children.every(({ complete }) => complete),
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
export type Owner = CategoryJson['owners'][number];

/** A category of page frames, or a group of categories. */
export interface Category extends Omit<CategoryJson, 'category' | 'children'> {
  readonly category: CategoryName | CategoryGroup | 'memory';
  readonly children: readonly Category[];
}

type FoundCategory = Pick<Category, 'category' | 'frames' | 'bytes' | 'known' | 'complete'> & {
  readonly [Field in keyof Category]?: Category[Field] | undefined;
};

/** Makes a category; what is not given, it does not have. */
export function makeCategory(found: FoundCategory): Category {
  const { category, bytes, frames, known, counterBytes = null, flagBytes, owners = [], children = [] } = found;
  const { next = null, complete, why = null, range = null, elsewhere = [] } = found;
  return {
    category,
    bytes,
    frames,
    known,
    counterBytes,
    differenceBytes: counterBytes === null ? null : bytes - counterBytes,
    ...(flagBytes === undefined ? {} : { flagBytes }),
    owners,
    children,
    next,
    complete,
    why,
    range,
    elsewhere,
  };
}

/** Bytes of each category and group in one sample. */
type CategoryBytes = ReadonlyMap<Category['category'], number>;

/** One of several samples of a running machine. */
export type MemorySample = NonNullable<MemoryJson['sample']>;

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
    return { number: ++this.#number, at: at.toISOString(), changes };
  }
}

function categoriesOf(category: Category): Category[] {
  return [category, ...category.children.flatMap(categoriesOf)];
}
