import { readOrNot } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { type SlabShape, SlabShapes } from '../pages/slab-caches.js';
import { StructReader } from '../struct-reader.js';

/** Counters of a cache's slabs. */
interface CountedSlabs {
  readonly slabs: number;
  readonly frames: number;
  readonly slots: number;
  readonly used: number;
}

/** Compares the sizes of slab caches with other fields of their `struct kmem_cache`, and with their slabs. */
export class SlabSizes {
  readonly #pageSize: number;
  readonly #shapes: SlabShapes;
  readonly #divisor;

  constructor(kernel: Kernel) {
    this.#pageSize = kernel.facts.pageSize;
    this.#shapes = new SlabShapes(kernel);
    this.#divisor = StructReader.ifPresent(kernel, 'kmem_cache', ['reciprocal_size.m']);
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
    const shapes = this.#shapes.of(cache);
    if (!shapes) return undefined;
    for (const { order, objects } of shapes) {
      const fit = Math.floor((this.#pageSize * 2 ** order) / slotSize);
      if (fit !== objects) return `has ${objects} objects in a slab that ${fit} fit into`;
    }
    const expected = slotsOf(counted, shapes);
    return expected === slots ? undefined : `has ${slots} slots where ${expected} are due`;
  }
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
