import type { CategoryName } from './categories.js';

/** Format of figures: free(1) or /proc/meminfo. */
export type FigureFormat = 'free' | 'meminfo';

/** A figure of free(1) or /proc/meminfo, computed from categories. */
export interface FigureLine {
  /** Name as the tool prints it. */
  readonly name: string;
  /** The categories in its sum; empty: none applies. */
  readonly rows: readonly CategoryName[];
  /**
   * Whether the figure equals the sum of the categories, or is at most (at least) that sum: a line may count
   * part of a category.
   */
  readonly bound: 'same' | 'at-most' | 'at-least';
  /** Computed from the categories; null: unknown. */
  readonly bytes: number | null;
  /** The kernel's own counter; null: not read. */
  readonly kernelBytes: number | null;
}

export interface FormattedFigures {
  readonly format: FigureFormat;
  readonly lines: readonly FigureLine[];
  /** Categories that are counted only in total memory. */
  readonly onlyInTotal: readonly { readonly category: CategoryName; readonly bytes: number }[];
}
