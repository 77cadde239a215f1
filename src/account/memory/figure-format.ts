import type { CategoryName } from './categories.js';

/** Format of figures: free(1), or /proc/meminfo. */
export type FigureFormat = 'free' | 'meminfo';

/** A figure of free(1) or /proc/meminfo, computed from categories. */
export interface FigureLine {
  /** As the program prints it. */
  readonly name: string;
  /** The categories in its sum; empty: none applies. */
  readonly rows: readonly CategoryName[];
  /**
   * Whether the figure equals the sum of the categories, or is at most (at least) that: a line may count a
   * part of a category.
   */
  readonly bound: 'same' | 'at-most' | 'at-least';
  /** Computed from the categories; null: unknown. */
  readonly bytes: number | null;
  /** By the kernel's own counters; null: not read. */
  readonly kernelBytes: number | null;
}

export interface FormattedFigures {
  readonly format: FigureFormat;
  readonly lines: readonly FigureLine[];
  /** Categories that only the line of total memory counts. */
  readonly onlyInTotal: readonly { readonly category: CategoryName; readonly bytes: number }[];
}
