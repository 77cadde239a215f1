import { bytesOf, viewOf } from '../../kernel/bytes.js';
import { lastAtOrBelow, type MemoryImage, WrappedImage } from '../../kernel/native/parts.js';
import type { MapJson } from './schema.js';

/** Shows other bytes at some places of physical memory, if there are any at all. */
export class RestoredImage extends WrappedImage {
  readonly #starts: Float64Array;
  readonly #bytes: readonly Uint8Array[];

  /** @param places ascending, none over another */
  constructor(image: MemoryImage, places: MapJson['places']) {
    super(image, {});
    this.#starts = Float64Array.from(places, ([at]) => at);
    this.#bytes = places.map(([, hex]) => Buffer.from(hex, 'hex'));
  }

  readPhysical(address: number, length: number): DataView {
    const view = this.image.readPhysical(address, length);
    const end = address + length;
    let changed: Uint8Array | undefined;
    const first = Math.max(0, lastAtOrBelow(this.#starts, address));
    for (let index = first; index < this.#starts.length && this.#starts[index]! < end; index++) {
      const bytes = this.#bytes[index]!;
      const start = this.#starts[index]!;
      const from = Math.max(start, address);
      const to = Math.min(start + bytes.length, end);
      if (from >= to) continue;
      changed ??= bytesOf(view, 0, length).slice();
      changed.set(bytes.subarray(from - start, to - start), from - address);
    }
    return changed === undefined ? view : viewOf(changed);
  }
}
