import type { CategoryName } from './categories.js';

/** What flags say of frames besides whose they are. */
export interface FrameNote {
  /** Part of a transparent huge page or large folio, mlocked, damaged memory, a page of zeros. */
  readonly note: 'thp' | 'mlocked' | 'hwpoison' | 'zero-page';
  readonly category: CategoryName;
  readonly frames: number;
}
