import type { CategoryGroup, CategoryName, Known } from './categories.js';
import type { Elsewhere } from './frame-ledger.js';

/** Who would have to let go of memory. Names are hostile. */
export interface Owner {
  readonly kind: 'process' | 'cache' | 'caller' | 'table' | 'row' | 'file' | 'device';
  readonly name: string;
  /** Of a process. */
  readonly pid?: number;
  readonly bytes: number;
}

/** A place that page frames are in, or a group of such places. */
export interface Category {
  readonly category: CategoryName | CategoryGroup | 'memory';
  readonly frames: number;
  readonly bytes: number;
  readonly known: Known;
  /** What the kernel's own counter says of the same; null: it has none. */
  readonly counterBytes: number | null;
  /** The largest of those that are known. */
  readonly owners: readonly Owner[];
  readonly children: readonly Category[];
  /** The command that tells more, without the dump's name. */
  readonly next?: string;
  /** Nothing that would belong here was missed. */
  readonly complete: boolean;
  /** Why it is not whole: what is not complete says so, and so does what is not walked on such a kernel. */
  readonly why?: string;
  /** What a walk for this category led to and other categories have. */
  readonly elsewhere: readonly Elsewhere[];
}
