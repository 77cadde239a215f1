import { KernelError } from '../../base/errors/kernel.js';
import { grouped } from '../../base/grouped.js';
import { incompleteness } from '../../walk/incompleteness.js';
import { TornList } from '../../walk/list.js';
import type { WarningCode, Warnings } from '../../walk/warnings.js';
import type { CategoryName } from './categories.js';

/** Why a category is not known whole. */
export interface Reason {
  readonly why: string;
  /** Undefined: this program walks it on no such kernel, and the dump is as good as any. */
  readonly code: WarningCode | undefined;
}

/** One fault may spoil more than one category. */
export type Spoiled = Reason & { readonly categories: readonly CategoryName[] };

/**
 * The warning for an error that spoils part of an answer. A kernel without what a walk needs lacks what it
 * looks for, or this program does not know it.
 *
 * @throws the error itself, if it is a fault of this program
 */
export function codeOf(error: unknown): WarningCode {
  const unknown = error instanceof KernelError && !(error instanceof TornList);
  return unknown && error.code !== 'damaged' ? 'unsupported-layout' : incompleteness(error);
}

/**
 * A part of an answer that some kernels' layout, or what a dump lacks, makes impossible: why is a warning.
 *
 * @throws the error itself, if it is a fault of this program
 */
export function attempted<Part>(
  warnings: Warnings,
  what: string,
  part: () => Part,
): Part | undefined {
  try {
    return part();
  } catch (error) {
    warnings.add(codeOf(error), `${what}: ${(error as Error).message}`);
    return undefined;
  }
}

/** What walks could not have, by category. */
export class Missed {
  readonly #byCategory = new Map<CategoryName, Reason[]>();

  /** @throws the error itself, if it is a fault of this program */
  add(category: CategoryName, error: unknown): void {
    this.note(category, (error as Error).message, codeOf(error));
  }

  note(category: CategoryName, why: string, code?: WarningCode): void {
    const reasons = this.#byCategory.get(category) ?? [];
    this.#byCategory.set(category, reasons);
    if (reasons.every((reason) => reason.why !== why)) reasons.push({ why, code });
  }

  /** Something of this category is missing that a sound dump has. */
  spoils(category: CategoryName): boolean {
    return (this.#byCategory.get(category) ?? []).some(({ code }) => code !== undefined);
  }

  /** Why a category is not whole, all of it; undefined: it is. */
  why(category: CategoryName): string | undefined {
    return this.#byCategory
      .get(category)
      ?.map(({ why }) => why)
      .join('; ');
  }

  /** Every reason once, with the categories that it spoils. */
  reasons(): Spoiled[] {
    const all = [...this.#byCategory].flatMap(([category, reasons]) =>
      reasons.map((reason) => ({ category, ...reason })),
    );
    return [...grouped(all, ({ why }) => why)].map(([why, spoiled]) => ({
      why,
      code: spoiled[0]?.code,
      categories: spoiled.map(({ category }) => category),
    }));
  }
}
