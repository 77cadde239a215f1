import { KernelError } from '../../src/base/errors.js';
import type { MemoryImage, PhysicalRange } from '../../src/kernel/native/image/image.js';
import { openImage } from '../../src/kernel/native/image/open.js';
import type { NativeKernel } from '../../src/kernel/native/kernel.js';
import { openNativeImage } from '../../src/kernel/native/open.js';
import { damagedImage, type PhysicalPatch, recordedImage } from '../../test/support/damaged-image.js';
import { damageWord, tellPatch, wildEntry } from './physical-damage.js';
import type { Random } from './random.js';
import { Broken, openWithin } from './rules.js';
import { wildValue } from './values.js';

/** What the ways to find a variable without its symbol must not get wrong. */
const VARIABLES = ['socket_file_ops', 'proto_list', 'sock_inode_cachep', 'max_pfn', 'modules', 'btf_modules'] as const;

/**
 * A real dump, damaged in physical memory in what is read while it is opened: page tables, tables of
 * symbols and types, lists that variables are found by.
 */
export class OpeningCases {
  readonly #image: MemoryImage;
  readonly #truth: ReadonlyMap<string, unknown>;
  /** What was read, the same places once each, short reads apart from long ones. */
  readonly #short: readonly PhysicalRange[];
  readonly #long: readonly PhysicalRange[];
  /** Page tables: what was read a page at a time, and is full of entries. */
  readonly #root: number;

  constructor(dump: string) {
    this.#image = openImage([dump]);
    const ranges: PhysicalRange[] = [];
    const kernel = openNativeImage(recordedImage(this.#image, ranges), {}, this.#image);
    this.#truth = answers(kernel);
    const once = new Map(ranges.map((range) => [`${range.start} ${range.end}`, range]));
    const all = [...once.values()].filter(({ start, end }) => end - start >= 8);
    this.#short = all.filter(({ start, end }) => end - start < 4096);
    this.#long = all.filter(({ start, end }) => end - start >= 4096);
    // The top of the page tables is what is read first.
    this.#root = this.#long[0]?.start ?? 0;
  }

  /** @throws {Broken} */
  run(random: Random): readonly string[] {
    const told: string[] = [];
    const patches: PhysicalPatch[] = [];
    for (let times = 1 + random.below(4); times > 0; times--) {
      const { start, end } = random.pick(random.oneIn(2) ? this.#short : this.#long);
      const at = start - (start % 8) + 8 * random.below(Math.max(1, Math.floor((end - start) / 8)));
      const value = (old: bigint) => (random.oneIn(2) ? wildEntry(random, old, this.#root) : wildValue(random, old, 8));
      try {
        patches.push(damageWord(random, this.#image, at, value));
      } catch {
        // An extract keeps parts of pages: those are left as they are.
      }
    }
    told.push(...patches.map(tellPatch));
    return openWithin(told, () => {
      const kernel = openNativeImage(damagedImage(this.#image, patches));
      for (const [name, value] of answers(kernel)) {
        if (value === undefined || value === this.#truth.get(name)) continue;
        const was = String(this.#truth.get(name));
        told.push(`${name} is ${String(value)} instead of ${was}`);
        if ((VARIABLES as readonly string[]).includes(name))
          throw new Broken('silent', `${name} is ${String(value)} instead of ${was}`);
      }
    });
  }

  dispose(): void {
    this.#image.close();
  }
}

/** What is known of a kernel once it is open; undefined for what it doesn't tell. */
function answers(kernel: NativeKernel): Map<string, unknown> {
  const { provenance, facts } = kernel;
  const said = new Map<string, unknown>([
    ['release', facts.release],
    ['directMap', provenance.directMap.found ? provenance.directMap.detail : undefined],
    ['pages', provenance.pages.found ? provenance.pages.detail : undefined],
  ]);
  const orNot = <T>(ask: () => T): T | undefined => {
    try {
      return ask();
    } catch (error) {
      if (error instanceof KernelError) return undefined;
      throw error;
    }
  };
  for (const name of VARIABLES)
    said.set(
      name,
      orNot(() => kernel.symbol(name)),
    );
  said.set(
    'sk_buff',
    orNot(() => kernel.struct('sk_buff')?.size),
  );
  return said;
}
