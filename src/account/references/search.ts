import { KernelError } from '../../base/errors.js';
import type { Kernel, KernelFacts } from '../../kernel/kernel.js';
import { type Warning, Warnings } from '../../walk/warnings.js';
import type { CategoryName } from '../memory/categories.js';
import { AddressIdentifier, type SymbolsByAddress } from '../whatis.js';
import { findReferences, type ReferencesFound } from './references.js';
import { TargetFinder } from './targets.js';

/** Targets of `refs`: addresses, page frames, the objects of a slab cache, the pages of a category. */
export interface RefsTargets {
  readonly addresses?: readonly bigint[];
  readonly frames?: readonly number[];
  /** Name of a slab cache: all of its objects. */
  readonly cache?: string | undefined;
  /** All pages of a category. */
  readonly category?: CategoryName | undefined;
}

/** A target by address: in the direct map, or of a symbol, stack or area. */
interface TargetFacts {
  readonly address: bigint;
  readonly bytes: number;
  /** It consists of complete pages. */
  readonly pages: boolean;
  /** Number of references from the kernel's memory. */
  readonly references: number;
}

/** References to targets of one kernel. */
export interface RefsAnswer {
  readonly kernel: KernelFacts;
  readonly found: ReferencesFound;
  readonly targetCount: number;
  readonly targetAt: (number: number) => TargetFacts;
  /** Maximum number of targets, groups and references in a list. */
  readonly limit: number;
  readonly complete: boolean;
  readonly warnings: readonly Warning[];
}

/** Returns a function that receives the completed part of an activity, 0 to 1. */
export type ProgressOf = (doing: string) => (part: number) => void;

/**
 * Searches all memory of a dump for references.
 *
 * @throws {KernelError} `unsupported-format` for an extract or a running kernel; {@link WalkError} where a target does not exist,
 * `overlapping-targets`, `too-many-targets`; as findReferences does
 */
export async function searchReferences(
  kernel: Kernel,
  symbols: SymbolsByAddress | undefined,
  { addresses = [], frames = [], cache, category }: RefsTargets,
  limit: number,
  progress: ProgressOf = () => () => {},
): Promise<RefsAnswer> {
  needDump(kernel, 'refs');
  const warnings = new Warnings(kernel.doubts);
  const passing = progress('scanning page frames');
  const identifier = new AddressIdentifier(kernel, symbols, warnings, passing);
  const finder = new TargetFinder(kernel, identifier, warnings);
  for (const frame of frames) finder.addFrame(frame);
  for (const address of addresses) finder.addAddress(address);
  if (cache !== undefined) finder.addCache(cache, progress('searching slabs'));
  if (category !== undefined) finder.addCategory(category);
  const targets = finder.targets.index(kernel);
  const scanning = progress('scanning memory');
  const found = await findReferences(kernel, identifier, targets, limit, warnings, scanning);
  return {
    kernel: kernel.facts,
    found,
    targetCount: targets.size,
    targetAt: (number) => {
      const target = targets.at(number);
      return {
        address: targets.addressOf(kernel, number),
        bytes: target.length,
        pages: 'complete' in target && target.complete,
        references: found.perTarget[number] ?? 0,
      };
    },
    limit,
    complete: warnings.complete,
    warnings: warnings.list(),
  };
}

/** Refuses an extract and a running kernel. @throws {KernelError} `unsupported-format` */
export function needDump(kernel: Kernel, query: string): void {
  const isExtract = kernel.physical?.isExtract;
  if (!isExtract && !kernel.facts.live) return;
  const [what, why, next] = isExtract
    ? ['extract', 'most memory was left out', 'Use the original dump.']
    : ['running kernel', 'its memory changes', 'Use a dump.'];
  const message = `${what}: not supported by ${query} (${why})`;
  throw new KernelError('unsupported-format', message, { next });
}
