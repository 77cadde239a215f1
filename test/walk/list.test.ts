import { expect, test } from 'vitest';
import { changingListNodes, hlistNodes, listNodes, TornList } from '../../src/walk/list.js';
import { kernelWith, liveKernel } from '../support/damaged-kernel.js';
import { fixtureKernel } from '../support/opened-kernel.js';

const { kernel } = fixtureKernel('6.1');

const [HEAD, A, B, C, D] = [0x1000n, 0x2000n, 0x3000n, 0x4000n, 0x5000n] as const;

/** The head of a different list. */
const OTHER = 0x6000n;

/** The value that list_del_rcu leaves in `prev`. */
const POISON = 0xdead_0000_0000_0122n;

/** A running kernel with one list, which changes before the reads with these numbers. */
function live(nodes: readonly bigint[], changes: Readonly<Record<number, (list: List) => void>>) {
  const list = new List([HEAD, ...nodes]);
  let reads = 0;
  const read = (address: bigint, length: number) => {
    changes[reads++]?.(list);
    return list.read(address, length);
  };
  return liveKernel(kernelWith(kernel, { read }));
}

class List {
  readonly #next = new Map<bigint, bigint>();
  readonly #previous = new Map<bigint, bigint>();

  constructor(ring: readonly bigint[]) {
    for (const [index, node] of ring.entries()) this.#link(node, ring[(index + 1) % ring.length]!);
  }

  #link(node: bigint, next: bigint): void {
    this.#next.set(node, next);
    this.#previous.set(next, node);
  }

  remove(node: bigint): void {
    this.#link(this.#previous.get(node)!, this.#next.get(node)!);
    this.#previous.set(node, POISON);
  }

  /** Like list_splice_init, to a different list that was empty. */
  splice(nodes: readonly bigint[]): void {
    this.#link(HEAD, HEAD);
    for (const [index, node] of [OTHER, ...nodes].entries()) this.#link(node, nodes[index] ?? OTHER);
  }

  append(node: bigint): void {
    this.#link(this.#previous.get(HEAD)!, node);
    this.#link(node, HEAD);
  }

  tear(node: bigint): void {
    this.#previous.set(node, POISON);
  }

  read(address: bigint, length: number): DataView {
    const view = new DataView(new ArrayBuffer(16));
    const node = address & ~0xfffn;
    view.setBigUint64(0, this.#next.get(node)!, true);
    view.setBigUint64(8, this.#previous.get(node)!, true);
    return new DataView(view.buffer, Number(address - node), length);
  }
}

// The first read is of the head, then one per node.
test.each([
  ['the next node is removed', { 2: (list: List) => list.remove(B) }, [A, C, D]],
  ['the node that was read is removed', { 3: (list: List) => list.remove(B) }, [A, C, D]],
  [
    'all nodes that were read are removed',
    { 3: (list: List) => [B, A].forEach((node) => void list.remove(node)) },
    [C, D],
  ],
])('finds every node that stays on a changing list: %s', (_, changes, expected) => {
  expect([...changingListNodes(live([A, B, C, D], changes), HEAD)]).toEqual(expected);
});

test.each([1, 2, 3, 4])('follows entries that move to another list before read %i, up to a limit', (read) => {
  const nodes = [A, B, C, D];
  const kernel = live(nodes, { [read]: (list) => list.splice(nodes) });
  const found = [...changingListNodes(kernel, HEAD)];
  expect([[], nodes]).toContainEqual(found);
});

test('counts a node once if it is removed and added again at the end', () => {
  const back = (list: List) => {
    list.remove(A);
    list.append(A);
  };
  const found = [...changingListNodes(live([A, B, C, D], { 3: back }), HEAD)];
  expect(found).toHaveLength(4);
  expect(new Set(found)).toEqual(new Set([A, B, C, D]));
});

test('returns the nodes before a persistent tear, and then fails', () => {
  const found: bigint[] = [];
  const nodes = changingListNodes(live([A, B, C, D], { 0: (list) => list.tear(C) }), HEAD);
  expect(() => {
    for (const node of nodes) found.push(node);
  }).toThrow(TornList);
  expect(found).toEqual([A, B]);
});

test('reports a list that ends before its last entry as torn', () => {
  const nodes = new List([HEAD, A, B, C]);
  const read = (address: bigint, length: number) =>
    // The entry in the middle points to the head.
    address === B ? words(HEAD, A) : nodes.read(address, length);
  expect(() => [...listNodes(kernelWith(kernel, { read }), HEAD)]).toThrow(/ends at 0x3000/);
  expect([...listNodes(kernelWith(kernel, { read: nodes.read.bind(nodes) }), HEAD)]).toEqual([A, B, C]);
});

function words(next: bigint, previous: bigint): DataView {
  const view = new DataView(new ArrayBuffer(16));
  view.setBigUint64(0, next, true);
  view.setBigUint64(8, previous, true);
  return view;
}

test.each([[[HEAD]], [[HEAD, A]], [[HEAD, A, B]]])('a hash list ends where a ring of %o was taken for one', (ring) => {
  const list = new List(ring);
  const kernelOfRing = kernelWith(kernel, { read: list.read.bind(list) });
  expect(() => [...hlistNodes(kernelOfRing, HEAD)]).toThrow(TornList);
});
