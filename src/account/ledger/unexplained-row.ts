import { KernelError, ReadError } from '../../kernel/error.js';
import { incompleteness } from '../../walk/incompleteness.js';

/** Memory that the network holds and no socket explains; null where it is named but not counted. */
export interface Unexplained {
  readonly what: string;
  readonly objects: number | null;
  /** Of this row alone: what a socket's queue or a row above holds as well is left out. */
  readonly bytes: number | null;
  /** The row in words. */
  readonly message: string;
  /** False if memory that it would be counted from is missing or damaged. */
  readonly complete: boolean;
}

/** A row before it has its name; one that doesn't say so is complete. */
export type Row = Omit<Unexplained, 'what' | 'complete'> & { readonly complete?: boolean };

/** `1 page`, `2 pages` */
export function many(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** @throws the error itself, if it is a fault of this program */
export function reason(error: unknown): string {
  const known = error instanceof KernelError || error instanceof ReadError;
  if (!known) incompleteness(error);
  return (error as Error).message;
}
