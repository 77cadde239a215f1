import type { CategoryName } from './categories.js';

/** Whose figures: those of free(1), or the lines of /proc/meminfo. */
export type Familiar = 'free' | 'meminfo';

/** A figure that people know, and how it comes from categories. */
export interface FamiliarLine {
  /** As the program prints it. */
  readonly name: string;
  /** The categories that make it up; none: no category tells it. */
  readonly rows: readonly CategoryName[];
  /**
   * Whether the categories have as much, or the figure counts at most (at least) what they have: a line may
   * count a part of what is in a category.
   */
  readonly bound: 'same' | 'at-most' | 'at-least';
  /** By the categories; null: they do not tell. */
  readonly bytes: number | null;
  /** What the kernel's own counters say; null: they were not read. */
  readonly kernelBytes: number | null;
}

export interface FamiliarFigures {
  readonly of: Familiar;
  readonly lines: readonly FamiliarLine[];
  /** Categories with memory that are in no line but that of all of it. */
  readonly nowhere: readonly { readonly category: CategoryName; readonly bytes: number }[];
}
