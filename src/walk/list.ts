import { KernelError, ReadError, readOrNot } from '../base/errors.js';
import { hex } from '../base/util.js';
import type { Kernel } from '../kernel/kernel.js';
import { readPartOf } from './named-read.js';

/** A list that cannot be followed to its end; entries before that are valid. */
export class TornList extends KernelError {
  constructor(message: string) {
    super('damaged', message);
  }
}

/** A ring that does not contain the head: its entries were moved to another list during the read. */
class OtherRing extends TornList {}

/** Detects, by Brent's algorithm, a cycle in a list that does not contain its head. */
export class CycleTest {
  readonly #head: bigint;
  /** Node to compare with; initially the head, which is never passed. */
  #mark: bigint;
  #passed = 0;
  #most = 1;

  constructor(head: bigint) {
    this.#head = head;
    this.#mark = head;
  }

  /** @throws {TornList} after at most three rounds of a cycle */
  pass(node: bigint): void {
    if (node === this.#mark)
      throw new OtherRing(`the list at ${hex(this.#head)} is inconsistent: ${hex(node)} is on another list`);
    if (++this.#passed < this.#most) return;
    [this.#mark, this.#passed, this.#most] = [node, 0, 2 * this.#most];
  }
}

/**
 * Follows a `struct list_head` ring from its head and yields the address of each entry's node. Each node's
 * `prev` must point back to the node before it, that of the head to the last. In a dump, this alone rules out a cycle that skips the head,
 * since the node where it closes would need two different `prev`. A running kernel may move all entries to
 * another list during the walk (list_splice): such a cycle is detected when a node repeats.
 * (include/linux/list.h; `next` and `prev` are its only two members, in this order.)
 *
 * @param after the node to start behind (default: the head)
 * @throws {TornList} when the links disagree, {@link ReadError} when a node cannot be read.
 */
export function* listNodes(kernel: Kernel, head: bigint, after = head): Generator<bigint> {
  let previous = after;
  let node = readPartOf(kernel, 'the list', head, after, 8).getBigUint64(0, true);
  const cycle = new CycleTest(head);
  while (node !== head) {
    cycle.pass(node);
    const links = readPartOf(kernel, 'the list', head, node, 16);
    const back = links.getBigUint64(8, true);
    if (back !== previous) {
      throw new TornList(
        `the list at ${hex(head)} is inconsistent: ${hex(node)} follows ` +
          `${hex(previous)} but points back to ${hex(back)}`,
      );
    }
    yield node;
    previous = node;
    node = links.getBigUint64(0, true);
  }
  // Extracts of earlier versions lack it.
  const last = readOrNot(() => kernel.read(head + 8n, 8).getBigUint64(0, true));
  if (last === undefined || last === previous) return;
  throw new TornList(
    `the list at ${hex(head)} is inconsistent: it ends at ${hex(previous)}, ` +
      `but its head points back to ${hex(last)}`,
  );
}

/**
 * The same, and the head's `prev` must be the last entry: a wrong `next` of the head, which skips entries at its
 * beginning, is detected.
 *
 * @throws as {@link listNodes}
 */
export function* closedListNodes(kernel: Kernel, head: bigint): Generator<bigint> {
  let last = head;
  for (const node of listNodes(kernel, head)) {
    yield node;
    last = node;
  }
  const back = readPartOf(kernel, 'the list', head, head + 8n, 8).getBigUint64(0, true);
  if (back !== last)
    throw new TornList(
      `the list at ${hex(head)} is inconsistent: its last entry is ${hex(last)}, but the head points to ${hex(back)}`,
    );
}

/** Maximum number of changes to a list of a running kernel during a walk. */
const MAX_CHANGES = 1000;

/**
 * The same for a running kernel, which changes the list meanwhile: from a tear it goes back to the last node
 * that is still on the list. Every node that is on it all the time is found.
 *
 * @throws as {@link listNodes}; after all readable nodes of a list that changes too fast, or is torn
 */
export function* changingListNodes(kernel: Kernel, head: bigint): Generator<bigint> {
  if (!kernel.facts.live) {
    yield* listNodes(kernel, head);
    return;
  }
  const nodes: bigint[] = [];
  const last = (back = 1) => nodes.at(-back) ?? head;
  for (let changes = 0; ; changes++) {
    const forget = kernel.noteReads();
    try {
      while (nodes.length > 0 && !isBehind(kernel, last(), last(2))) nodes.pop();
      for (const node of listNodes(kernel, head, last())) nodes.push(node);
      break;
    } catch (error) {
      if (!(error instanceof TornList || error instanceof ReadError)) throw error;
      // Nodes on another list are linked to each other, too.
      if (error instanceof OtherRing) nodes.length = 0;
      if (changes < MAX_CHANGES) continue;
      yield* new Set(nodes);
      throw error;
    } finally {
      forget();
    }
  }
  // A removed node may be at the end again: the allocator reuses memory.
  yield* new Set(nodes);
}

/**
 * Whether a node directly follows another according to the links of both; a removed node has neither link.
 */
function isBehind(kernel: Kernel, node: bigint, previous: bigint): boolean {
  const word = (address: bigint) =>
    readOrNot(() => readPartOf(kernel, 'the list', address, address, 8).getBigUint64(0, true));
  return word(previous) === node && word(node + 8n) === previous;
}

/**
 * Follows a `struct hlist_head` and yields the address of each entry's node. Each node's `pprev` must be the
 * address of the pointer that led to it, which rules out every cycle, except through the head: where a
 * `struct list_head` is taken for one. (include/linux/list.h; `next` and `pprev` are its only two members, in
 * this order.)
 *
 * @throws as {@link listNodes}
 */
export function* hlistNodes(kernel: Kernel, head: bigint): Generator<bigint> {
  let link = head;
  let node = readPartOf(kernel, 'the list', head, head, 8).getBigUint64(0, true);
  while (node !== 0n) {
    const links = readPartOf(kernel, 'the list', head, node, 16);
    const back = links.getBigUint64(8, true);
    if (back !== link || node === head) {
      throw new TornList(
        `the list at ${hex(head)} is inconsistent: ${hex(link)} points to ` +
          `${hex(node)}, but its pprev is ${hex(back)}`,
      );
    }
    yield node;
    link = node;
    node = links.getBigUint64(0, true);
  }
}
