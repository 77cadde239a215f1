import type { Warnings } from '../warnings.js';
import { type BlockForm, blockForm, fitsBlock } from './block.js';
import type { TextBlock } from './slot.js';

/**
 * Holds the length of each text against its block. Which form blocks have shows in all of them: a
 * length that would do in one form alone is judged in the end.
 */
export class BlockLengths {
  readonly #warnings: Warnings;
  readonly #spare: number[] = [];
  readonly #unfit: Record<BlockForm, string[]> = { copied: [], printed: [] };

  constructor(warnings: Warnings) {
    this.#warnings = warnings;
  }

  add(name: string, { bytes, length }: TextBlock): void {
    this.#spare.push(bytes.length - length);
    for (const form of ['copied', 'printed'] as const)
      if (!fitsBlock(form, bytes, length)) this.#unfit[form].push(name);
  }

  finish(): void {
    for (const name of this.#unfit[blockForm(this.#spare)])
      this.#warnings.add('corrupt', `the length of its text does not fit where it lies: ${name}`);
  }
}
