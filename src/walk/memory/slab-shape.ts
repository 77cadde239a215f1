import { readOrNot } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';

import { StructReader } from '../struct-reader.js';

/** Order and objects of a slab: `struct kmem_cache_order_objects` stores both in one word (mm/slub.c). */
interface SlabShape {
  readonly order: number;
  readonly objects: number;
}

/** OO_SHIFT and OO_MASK of mm/slub.c. */
const OBJECTS_BITS = 16;

/** Counters of a cache's slabs. */
interface CountedSlabs {
  readonly slabs: number;
  readonly frames: number;
  readonly slots: number;
  readonly used: number;
}

/** Compares the sizes of slab caches with other fields of their `struct kmem_cache`, and with their slabs. */
export class SlabShapes {
  readonly #pageSize: number;
  readonly #shape;
  readonly #divisor;

  constructor(kernel: Kernel) {
    this.#pageSize = kernel.facts.pageSize;
    const cache = kernel.struct('kmem_cache');
    const has = (path: string) => cache?.member(path) !== undefined;
    this.#shape = has('oo.x') && has('min.x') ? new StructReader(kernel, 'kmem_cache', ['oo.x', 'min.x']) : null;
    this.#divisor = has('reciprocal_size.m') ? new StructReader(kernel, 'kmem_cache', ['reciprocal_size.m']) : null;
  }

  /** Describes a contradiction in a cache; undefined if there is none. */
  fault(
    cache: bigint,
    { objectSize, slotSize }: { readonly objectSize: number; readonly slotSize: number },
    counted: CountedSlabs,
  ): string | undefined {
    if (objectSize > slotSize) return `has objects of ${objectSize} bytes in slots of ${slotSize}`;
    const { used, slots } = counted;
    if (used > slots) return `has ${used} objects in ${slots} slots`;
    const divisor = readOrNot(() => this.#divisor?.read(cache).number('reciprocal_size.m'));
    if (divisor !== undefined && divisor !== reciprocal(slotSize))
      return `has slots of ${slotSize} bytes, and divides by another size`;
    const shapes = readOrNot(() => {
      const view = this.#shape?.read(cache);
      return view && [shapeOf(view.number('oo.x')), shapeOf(view.number('min.x'))];
    });
    if (!shapes) return undefined;
    for (const { order, objects } of shapes) {
      const fit = Math.floor((this.#pageSize * 2 ** order) / slotSize);
      if (fit !== objects) return `has ${objects} objects in a slab that ${fit} fit into`;
    }
    const expected = slotsOf(counted, shapes);
    return expected === slots ? undefined : `has ${slots} slots where ${expected} are due`;
  }
}

function shapeOf(word: number): SlabShape {
  return { order: Math.floor(word / 2 ** OBJECTS_BITS), objects: word % 2 ** OBJECTS_BITS };
}

/**
 * Expected number of slots of these slabs in these pages: each slab has the regular shape, or the minimum
 * one.
 */
function slotsOf({ slabs, frames }: CountedSlabs, shapes: readonly SlabShape[]): number {
  const [wanted, least] = shapes as [SlabShape, SlabShape];
  const [large, small] = [2 ** wanted.order, 2 ** least.order];
  if (large === small) return slabs * wanted.objects;
  const many = (frames - slabs * small) / (large - small);
  return many * wanted.objects + (slabs - many) * least.objects;
}

/** The kernel's multiplier for dividing by a size (reciprocal_value(), lib/math/reciprocal_div.c). */
function reciprocal(size: number): number {
  const bits = BigInt(32 - Math.clz32(size - 1));
  const divisor = BigInt(size);
  const multiplier = ((1n << 32n) * ((1n << bits) - divisor)) / divisor + 1n;
  return Number(BigInt.asUintN(32, multiplier));
}
