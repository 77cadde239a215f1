import { damaged, KernelError, ReadError } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { readPartOf } from '../named-read.js';
import { StructReader, type StructView } from '../struct-reader.js';

/** An entry of a maple tree, with its range of indexes. */
export interface MapleEntry {
  readonly first: bigint;
  readonly last: bigint;
  readonly entry: bigint;
}

/**
 * Address mask of a node: nodes are aligned, and the bits below encode their type (MAPLE_NODE_MASK in
 * linux/maple_tree.h).
 */
const NODE_MASK = 0xffn;
/** Bits 6 to 3 of an entry that points to a node contain the node type. */
const TYPE_SHIFT = 3n;
const TYPE_MASK = 0xfn;
/** In `parent` of a node: its slot there, bits 7 to 3; for the root bit 0. */
const PARENT_SLOT_SHIFT = 3n;
const PARENT_SLOT_MASK = 0x1fn;
const PARENT_IS_TREE = 1n;
/** Internal entries are below this, and have bits 1 to 0 as nodes do (xa_is_internal). */
const MAX_INTERNAL = 4096n;
/** MAPLE_HEIGHT_MAX. */
const MAX_LEVELS = 31;
/** More mappings than any process has (vm.max_map_count is 65,530 by default). */
const MAX_ENTRIES = 2 ** 20;
const LAST_INDEX = 2n ** 64n - 1n;

/** Node types, used if the kernel's types lack enum maple_type. */
const TYPES = { maple_leaf_64: 1n, maple_range_64: 2n, maple_arange_64: 3n };

/** Reads maple trees (lib/maple_tree.c, since 6.1), and checks their ranges and links for consistency. */
export class MapleTreeReader {
  readonly #kernel: Kernel;
  readonly #tree;
  readonly #node;
  readonly #ranges: NodeShape;
  readonly #gaps: NodeShape;
  readonly #types: Readonly<Record<keyof typeof TYPES, bigint>>;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#tree = new StructReader(kernel, 'maple_tree', ['ma_root']);
    this.#node = new StructReader(kernel, 'maple_node', ['parent']);
    const shape = (name: 'mr64' | 'ma64'): NodeShape => {
      const [pivot, slot] = [`${name}.pivot`, `${name}.slot`];
      const { members } = new StructReader(kernel, 'maple_node', [pivot, slot]);
      const words = (path: string) => {
        const { offset = 0, size = 0 } = members[path] ?? {};
        return { offset: BigInt(offset), count: size / 8 };
      };
      return { pivot: words(pivot), slot: words(slot) };
    };
    this.#ranges = shape('mr64');
    this.#gaps = shape('ma64');
    const named = kernel.enumerators('maple_type');
    this.#types = {
      maple_leaf_64: named?.get('maple_leaf_64') ?? TYPES.maple_leaf_64,
      maple_range_64: named?.get('maple_range_64') ?? TYPES.maple_range_64,
      maple_arange_64: named?.get('maple_arange_64') ?? TYPES.maple_arange_64,
    };
  }

  /**
   * Yields the entries of a tree in index order.
   *
   * @param lost receives an unreadable or inconsistent node, and the range that it covers
   * @throws {ReadError} if the tree itself cannot be read; {@link KernelError} `damaged` if it does not
   * terminate
   */
  *entries(tree: bigint, lost: (error: ReadError | KernelError) => void): Generator<MapleEntry, undefined> {
    const root = this.#tree.read(tree).pointer('ma_root');
    if (root === 0n) return;
    if (!isNode(root)) {
      lost(damaged(`maple tree ${hex(tree)} has no root node`));
      return;
    }
    const met = { entries: 0 };
    yield* this.#node64(root, { tree, parent: undefined, slot: 0, level: 0 }, 0n, LAST_INDEX, met, lost);
  }

  *#node64(
    link: bigint,
    place: Place,
    min: bigint,
    max: bigint,
    met: { entries: number },
    lost: (error: ReadError | KernelError) => void,
  ): Generator<MapleEntry, undefined> {
    const address = link & ~NODE_MASK;
    const type = (link >> TYPE_SHIFT) & TYPE_MASK;
    const leaf = type === this.#types.maple_leaf_64;
    let slots: readonly MapleEntry[];
    try {
      if (place.level >= MAX_LEVELS) throw this.#torn(address, 'lies too deep');
      const shape = this.#shapeOf(type, address);
      this.#checkParent(this.#node.read(address), place);
      slots = this.#slots(address, shape, min, max);
    } catch (error) {
      if (!(error instanceof ReadError || error instanceof KernelError)) throw error;
      lost(error);
      return;
    }
    for (const [slot, slotEntry] of slots.entries()) {
      const { first, last, entry } = slotEntry;
      if (!leaf && entry > MAX_INTERNAL) {
        const below = { tree: place.tree, parent: address, slot, level: place.level + 1 };
        yield* this.#node64(entry, below, first, last, met, lost);
      } else if (!leaf) lost(this.#torn(address, `leads to no node from its slot ${slot}`));
      else if (entry !== 0n && !isInternal(entry)) {
        if (++met.entries > MAX_ENTRIES) throw damaged(`maple tree ${hex(place.tree)} does not terminate (loop?)`);
        yield slotEntry;
      }
    }
  }

  #shapeOf(type: bigint, address: bigint): NodeShape {
    const { maple_leaf_64: leaf, maple_range_64: range, maple_arange_64: gaps } = this.#types;
    if (type === leaf || type === range) return this.#ranges;
    if (type === gaps) return this.#gaps;
    throw this.#torn(address, `is of type ${type}, which is invalid in a tree of mappings`);
  }

  /**
   * Returns the slots of a node with their ranges: each pivot is the last index of its slot; the last used
   * slot has pivot 0 or no pivot.
   */
  #slots(address: bigint, { pivot, slot }: NodeShape, min: bigint, max: bigint): MapleEntry[] {
    const words = ({ offset, count }: Words) =>
      readPartOf(this.#kernel, 'struct maple_node', address, address + offset, count * 8);
    const [pivots, entries] = [words(pivot), words(slot)];
    const slotEntries: MapleEntry[] = [];
    for (let index = 0, first = min; index < slot.count; index++) {
      const pivotEnd = index < pivot.count ? pivots.getBigUint64(index * 8, true) : max;
      const last = pivotEnd === 0n && index > 0 ? max : pivotEnd;
      if (last < first || last > max)
        throw this.#torn(address, `ends a range of ${hex(first)} to ${hex(max)} at ${hex(last)}`);
      slotEntries.push({ first, last, entry: entries.getBigUint64(index * 8, true) });
      if (last === max) return slotEntries;
      first = last + 1n;
    }
    throw this.#torn(address, `ends before ${hex(max)}`);
  }

  /** Each node names its parent and its slot there: on a running kernel they change. */
  #checkParent(node: StructView<'parent'>, { tree, parent, slot }: Place): void {
    if (this.#kernel.facts.live) return;
    const encodedParent = node.pointer('parent');
    const agrees =
      parent === undefined
        ? encodedParent === (tree | PARENT_IS_TREE)
        : (encodedParent & ~NODE_MASK) === parent &&
          ((encodedParent >> PARENT_SLOT_SHIFT) & PARENT_SLOT_MASK) === BigInt(slot);
    if (!agrees) throw this.#torn(node.address, `names ${hex(encodedParent)} as its parent, which is none`);
  }

  #torn(node: bigint, what: string): KernelError {
    return damaged(`the maple node at ${hex(node)} ${what}`);
  }
}

interface Words {
  readonly offset: bigint;
  readonly count: number;
}

interface NodeShape {
  readonly pivot: Words;
  readonly slot: Words;
}

/** Position of a node in the tree. */
interface Place {
  readonly tree: bigint;
  readonly parent: bigint | undefined;
  readonly slot: number;
  readonly level: number;
}

/** xa_is_node, valid for the root; links below contain only their type. */
function isNode(entry: bigint): boolean {
  return (entry & 3n) === 2n && entry > MAX_INTERNAL;
}

/** Whether an entry is internal, such as the placeholder XA_ZERO_ENTRY. */
function isInternal(entry: bigint): boolean {
  return (entry & 3n) === 2n && entry <= MAX_INTERNAL;
}
