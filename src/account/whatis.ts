import type { Kernel } from '../kernel/kernel.js';
import type { Warnings } from '../walk/warnings.js';
import { KnownAddresses, type SymbolsByAddress } from './known-addresses.js';
import { accountMemory, type MemoryPlaces } from './memory/memory.js';

/** Identifies any address. The owner of a page that nothing else names needs a pass over all memory, once for all. */
export class AddressIdentifier extends KnownAddresses {
  readonly #counted: () => MemoryPlaces | null;
  #places: MemoryPlaces | null | undefined;

  /**
   * @param warnings receives what could not be read
   * @param progress called with the completed part of a pass over all memory, 0 to 1
   */
  constructor(
    kernel: Kernel,
    symbols: SymbolsByAddress | undefined,
    warnings: Warnings,
    progress: (part: number) => void = () => {},
  ) {
    super(kernel, symbols, warnings);
    this.#counted = () => {
      let counted: MemoryPlaces | null = null;
      const onPlaces = (places: MemoryPlaces) => {
        counted = places;
      };
      const answer = accountMemory(kernel, progress, { onPlaces });
      for (const { code, message } of answer.warnings) warnings.add(code, message);
      return counted;
    };
  }

  /** Categories of all pages; null: memory could not be counted, which is a warning. */
  override places(): MemoryPlaces | null {
    if (this.#places === undefined) {
      // A pass that fails is not repeated for the next address.
      this.#places = null;
      this.#places = this.#counted();
    }
    return this.#places;
  }
}
