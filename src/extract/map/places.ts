import { bytesOf } from '../../kernel/bytes.js';
import type { MemoryImage } from '../../kernel/native/parts.js';
import type { Patches } from '../anonymize/patcher.js';
import type { KeptPages } from '../kept-pages.js';

/** Bytes that an anonymous extract has others in place of. */
export interface TruePlace {
  /** Physical address. */
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** What patches stand in place of, as far as that is kept, in the order of its addresses. */
export function* truePlaces(
  image: MemoryImage,
  kept: KeptPages,
  patches: Patches,
): Generator<TruePlace> {
  const { pageSize } = kept;
  const isPatched = new Uint8Array(pageSize);
  const made = new Uint8Array(pageSize);
  for (const page of [...patches.keys()].sort((a, b) => a - b)) {
    isPatched.fill(0);
    for (const { at, bytes } of patches.get(page) ?? []) {
      made.set(bytes, at);
      for (let byte = at; byte < at + bytes.length; byte++)
        if (kept.keepsAny(page, byte, 1)) isPatched[byte] = 1;
    }
    for (let from = isPatched.indexOf(1); from >= 0; ) {
      const next = isPatched.indexOf(0, from);
      const end = next < 0 ? pageSize : next;
      const at = page * pageSize + from;
      const bytes = bytesOf(image.readPhysical(at, end - from)).slice();
      if (bytes.some((byte, index) => byte !== made[from + index])) yield { at, bytes };
      from = isPatched.indexOf(1, end);
    }
  }
}
