import type { CategoryName } from './categories.js';

/** Further properties of frames by flags. */
export interface FrameNote {
  /** Part of a transparent huge page or large folio, mlocked, damaged memory, or the zero page. */
  readonly note: 'thp' | 'mlocked' | 'hwpoison' | 'zero-page';
  readonly category: CategoryName;
  readonly frames: number;
}
