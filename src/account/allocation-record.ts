import type { AllocationRecord } from '../contracts/whatis.js';
import type { Kernel } from '../kernel/kernel.js';
import { AllocationTags, profilingState, TagReferences } from '../walk/allocations/alloc-tags.js';
import { PageOwner, pageOwnerState } from '../walk/allocations/page-owner.js';
import { SlabTracks, StackDepot, siteFrames } from '../walk/allocations/stack-depot.js';
import { readTicks, type Ticks } from '../walk/machine/clock.js';
import { findOrNot } from '../walk/named-read.js';
import type { Warnings } from '../walk/warnings.js';
import { attempted } from './memory/missed.js';

/** An allocated slab object. */
export interface SlabObject {
  /** Address of its `struct kmem_cache`. */
  readonly cache: bigint;
  readonly address: bigint;
  /** Address of the first `struct page` of its slab, and number of its slot. */
  readonly slab: bigint;
  readonly index: number;
}

/** Looks up single pages and slab objects in page_owner, SLUB’s user tracking and allocation profiling. */
export class AllocationRecords {
  readonly #kernel: Kernel;
  readonly #warnings: Warnings;
  readonly #depot: () => StackDepot;
  readonly #owner: () => PageOwner | null;
  readonly #tracks: () => SlabTracks | null;
  readonly #ticks: () => Ticks | undefined;
  readonly #tags: () => AllocationTags | null;
  readonly #references: TagReferences;

  /** @param warnings receives why a source that is on cannot be read */
  constructor(kernel: Kernel, warnings: Warnings) {
    this.#kernel = kernel;
    this.#warnings = warnings;
    this.#depot = once(() => new StackDepot(kernel));
    this.#owner = once(
      () => this.#tried('page_owner', () => (pageOwnerState(kernel) === 'on' ? new PageOwner(kernel) : null)) ?? null,
    );
    this.#tracks = once(() => (kernel.struct('track') ? new SlabTracks(kernel) : null));
    this.#ticks = once(() => findOrNot(() => readTicks(kernel)));
    this.#tags = once(
      () =>
        this.#tried('allocation profiling', () =>
          profilingState(kernel) === 'on' ? new AllocationTags(kernel) : null,
        ) ?? null,
    );
    this.#references = new TagReferences(kernel);
  }

  /**
   * Allocation of a page; null: nothing is noted.
   *
   * @param head first frame of its allocation
   */
  ofPage(frame: number, head: number): AllocationRecord | null {
    const allocation = this.#tried('page_owner', () => {
      const record = this.#owner()?.at(frame);
      if (!record) return null;
      const { handle, pid, tgid, comm, time } = record;
      const seconds = time === null ? null : time / 1e9;
      const frames = siteFrames(this.#kernel, handle === 0 ? [] : this.#depot().of(handle).addresses);
      return { source: 'page-owner', of: 'page', frames, pid, tgid, comm, seconds } as const;
    });
    return allocation ?? this.#tagged('page', () => this.#references.ofPage(head));
  }

  /** Allocation of an object; null: nothing is noted. */
  ofObject({ cache, address, slab, index }: SlabObject): AllocationRecord | null {
    const record = this.#tried('slab user tracking', () => {
      const tracks = this.#tracks();
      const track = tracks?.isOn(cache) ? tracks.of(cache, address, this.#depot) : undefined;
      if (!track) return null;
      const ticks = this.#ticks();
      const seconds = ticks ? ticks.seconds - Number(ticks.now - track.when) / ticks.perSecond : null;
      const frames = siteFrames(this.#kernel, track.addresses);
      const noted = { pid: track.pid, tgid: null, comm: null, seconds };
      return { source: 'slab-tracks', of: 'object', frames, ...noted } as const;
    });
    return record ?? this.#tagged('object', () => this.#references.ofObject(slab, index));
  }

  /** A tag has no thread and no time. */
  #tagged(of: AllocationRecord['of'], reference: () => bigint): AllocationRecord | null {
    const record = this.#tried('allocation profiling', () => {
      const tags = this.#tags();
      const tag = tags?.at(reference());
      if (!tag) return null;
      const { line, symbol, module } = tag;
      const unknown = { pid: null, tgid: null, comm: null, seconds: null };
      const frames = [{ symbol, offset: null, module, line, guess: false }];
      return { source: 'allocation-tags', of, frames, ...unknown } as const;
    });
    return record ?? null;
  }

  #tried<T>(what: string, step: () => T): T | undefined {
    return attempted(this.#warnings, what, step);
  }
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
