import { KernelError } from '../../base/errors/kernel.js';
import { grouped } from '../../base/grouped.js';
import { incompleteness } from '../../walk/incompleteness.js';
import { TornList } from '../../walk/list.js';
import type { WarningCode, Warnings } from '../../walk/warnings.js';
import type { DrawerName } from './drawers.js';

/** Why a drawer is not known whole. */
export interface Reason {
  readonly why: string;
  /** Undefined: this program walks it on no such kernel, and the dump is as good as any. */
  readonly code: WarningCode | undefined;
}

/** One fault may spoil more than one drawer. */
export type Spoiled = Reason & { readonly drawers: readonly DrawerName[] };

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

/** What walks could not have, by drawer. */
export class Missed {
  readonly #byDrawer = new Map<DrawerName, Reason[]>();

  /** @throws the error itself, if it is a fault of this program */
  add(drawer: DrawerName, error: unknown): void {
    this.note(drawer, (error as Error).message, codeOf(error));
  }

  note(drawer: DrawerName, why: string, code?: WarningCode): void {
    const reasons = this.#byDrawer.get(drawer) ?? [];
    this.#byDrawer.set(drawer, reasons);
    if (reasons.every((reason) => reason.why !== why)) reasons.push({ why, code });
  }

  /** Something of this drawer is missing that a sound dump has. */
  spoils(drawer: DrawerName): boolean {
    return (this.#byDrawer.get(drawer) ?? []).some(({ code }) => code !== undefined);
  }

  /** Why a drawer is not whole, all of it; undefined: it is. */
  why(drawer: DrawerName): string | undefined {
    return this.#byDrawer
      .get(drawer)
      ?.map(({ why }) => why)
      .join('; ');
  }

  /** Every reason once, with the drawers that it spoils. */
  reasons(): Spoiled[] {
    const all = [...this.#byDrawer].flatMap(([drawer, reasons]) =>
      reasons.map((reason) => ({ drawer, ...reason })),
    );
    return [...grouped(all, ({ why }) => why)].map(([why, spoiled]) => ({
      why,
      code: spoiled[0]?.code,
      drawers: spoiled.map(({ drawer }) => drawer),
    }));
  }
}
