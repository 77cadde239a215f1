import { ReadError } from '../../../base/errors/kernel.js';
import type { ImageBytes } from './image-bytes.js';
import { type Memory, word, wordOrNot } from './reads.js';

const MOST_ENTRIES = 4096;
/** Heads that are followed further than one step. */
const MOST_HEADS = 10_000;

/**
 * The nodes of a ring of `struct list_head`, the head left out; undefined where a node's `prev` is
 * not the one before it, or the ring does not close.
 */
export function ring(memory: Memory, head: bigint): readonly bigint[] | undefined {
  try {
    const nodes: bigint[] = [];
    let before = head;
    let at = word(memory, head);
    while (at !== head) {
      if (nodes.length >= MOST_ENTRIES || word(memory, at + 8n) !== before) return undefined;
      nodes.push(at);
      before = at;
      at = word(memory, at);
    }
    return word(memory, head + 8n) === before ? nodes : undefined;
  } catch (error) {
    if (error instanceof ReadError) return undefined;
    throw error;
  }
}

/**
 * Addresses in the image of heads of lists that are not empty and whose nodes all pass a test. Both
 * pointers of a head lie in the range given.
 */
export function* headsOf(
  memory: Memory,
  image: ImageBytes,
  range: { readonly start: bigint; readonly end: bigint },
  isNode: (node: bigint) => boolean,
): Generator<bigint> {
  const { words } = image;
  // Upper halves first: nearly all words end there.
  const least = Number(range.start >> 32n) | 0;
  const most = Number(range.end >> 32n) | 0;
  let followed = 0;
  for (let index = 0; index + 3 < words.length; index += 2) {
    const next = words[index + 1]!;
    const previous = words[index + 3]!;
    if (next < least || next > most || previous < least || previous > most) continue;
    const first = image.view.getBigUint64(index * 4, true);
    if (first < range.start || first >= range.end || first % 8n !== 0n) continue;
    const head = image.address(index * 4);
    if (first === head || wordOrNot(memory, first + 8n) !== head || !isNode(first)) continue;
    if (++followed > MOST_HEADS) return;
    const nodes = ring(memory, head);
    if (nodes?.every(isNode)) yield head;
  }
}
