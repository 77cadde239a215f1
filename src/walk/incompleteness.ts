import { KernelError, ReadError } from '../base/errors/kernel.js';
import { TornList } from './list.js';
import type { WarningCode } from './warnings.js';

/**
 * The warning for an error that spoils part of an answer.
 *
 * @throws the error itself, if it is of any other kind
 */
export function incompleteness(error: unknown): WarningCode {
  if (error instanceof TornList) return 'torn-list';
  if (error instanceof ReadError) return 'unreadable';
  if (error instanceof KernelError && error.code === 'damaged') return 'corrupt';
  throw error;
}
