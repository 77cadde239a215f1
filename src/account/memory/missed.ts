import { KernelError } from '../../base/errors.js';
import { grouped } from '../../base/util.js';
import type { CategoryName } from '../../records/categories.js';
import { TornList } from '../../walk/list.js';
import { incompleteness, type WarningCode, type Warnings } from '../../walk/warnings.js';

/** Why a category is incomplete. */
export interface Reason {
  readonly why: string;
  /** Undefined: kdump-mem does not support this walk on this kernel; the dump is intact. */
  readonly code: WarningCode | undefined;
}

/** A reason with the categories that it makes incomplete. */
export type Spoiled = Reason & { readonly categories: readonly CategoryName[] };

/**
 * Returns the warning for an error that makes part of an answer incomplete. A missing struct or symbol means
 * that the kernel lacks these objects, or that kdump-mem does not support them.
 *
 * @throws the error itself if it is a bug in kdump-mem
 */
export function codeOf(error: unknown): WarningCode {
  const unknown = error instanceof KernelError && !(error instanceof TornList);
  return unknown && error.code !== 'damaged' ? 'unsupported-layout' : incompleteness(error);
}

/**
 * Computes a part of an answer that the layout of some kernels, or missing data, makes impossible: the reason
 * becomes a warning.
 *
 * @throws the error itself, if it is a fault of this program
 */
export function attempted<Part>(warnings: Warnings, what: string, part: () => Part): Part | undefined {
  try {
    return part();
  } catch (error) {
    warnings.add(codeOf(error), `${what}: ${(error as Error).message}`);
    return undefined;
  }
}

/** What walks could not read, by category. */
export class Missed {
  readonly #byCategory = new Map<CategoryName, Reason[]>();

  /** @throws the error itself if it is a bug in kdump-mem */
  add(category: CategoryName, error: unknown): void {
    this.note(category, (error as Error).message, codeOf(error));
  }

  note(category: CategoryName, why: string, code?: WarningCode): void {
    const reasons = this.#byCategory.get(category) ?? [];
    this.#byCategory.set(category, reasons);
    if (reasons.every((reason) => reason.why !== why)) reasons.push({ why, code });
  }

  /** Whether the category lacks data that an intact dump has. */
  spoils(category: CategoryName): boolean {
    return (this.#byCategory.get(category) ?? []).some(({ code }) => code !== undefined);
  }

  /** All reasons why a category is incomplete; undefined: it is complete. */
  why(category: CategoryName): string | undefined {
    return this.#byCategory
      .get(category)
      ?.map(({ why }) => why)
      .join('; ');
  }

  /** Returns each reason once, with the categories that it makes incomplete. */
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
