import { KernelError } from '../kernel/error.js';
import { hex } from '../kernel/hex.js';
import type { Kernel } from '../kernel/kernel.js';
import { readPartOf } from './named-read.js';

/** A list that cannot be followed to its end; what was seen before stands. */
export class TornList extends KernelError {
  constructor(message: string) {
    super('damaged', message);
  }
}

/**
 * Follows a `struct list_head` ring from its head and gives the address of each entry's node. Each
 * node's `prev` must lead back to the node before it: this alone rules out a cycle that skips the
 * head, since the node where it closes would need two different `prev`.
 * (include/linux/list.h; `next` and `prev` are its only two members, in this order.)
 *
 * @throws {TornList} when the links disagree, {@link ReadError} when a node cannot be read.
 */
export function* listNodes(kernel: Kernel, head: bigint): Generator<bigint> {
  let previous = head;
  let node = readPartOf(kernel, 'the list', head, head, 8).getBigUint64(0, true);
  while (node !== head) {
    const links = readPartOf(kernel, 'the list', head, node, 16);
    const back = links.getBigUint64(8, true);
    if (back !== previous) {
      throw new TornList(
        `the list at ${hex(head)} is torn: ${hex(node)} follows ` +
          `${hex(previous)} but points back to ${hex(back)}`,
      );
    }
    yield node;
    previous = node;
    node = links.getBigUint64(0, true);
  }
}

/**
 * Follows a `struct hlist_head` and gives the address of each entry's node. Each node's `pprev` must be
 * the address of the pointer that led to it, which rules out every cycle. (include/linux/list.h;
 * `next` and `pprev` are its only two members, in this order.)
 *
 * @throws as {@link listNodes}
 */
export function* hlistNodes(kernel: Kernel, head: bigint): Generator<bigint> {
  let link = head;
  let node = readPartOf(kernel, 'the list', head, head, 8).getBigUint64(0, true);
  while (node !== 0n) {
    const links = readPartOf(kernel, 'the list', head, node, 16);
    const back = links.getBigUint64(8, true);
    if (back !== link) {
      throw new TornList(
        `the list at ${hex(head)} is torn: ${hex(link)} leads to ` +
          `${hex(node)}, which names ${hex(back)}`,
      );
    }
    yield node;
    link = node;
    node = links.getBigUint64(0, true);
  }
}
