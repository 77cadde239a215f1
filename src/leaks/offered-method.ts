import type { ReadingMethod } from './readings/take.js';
import type { MethodCode } from './recording.js';

/**
 * Why a method cannot be had. `absent`: this kernel was built without it, or is too old. `off`: it must be asked
 * for when the kernel starts. `not-mounted`: debugfs or tracefs. `denied`: only root may. `threshold`: it leaves
 * out what is small. `not-readable`: see `why`.
 */
export type MethodRefusal =
  | 'absent'
  | 'off'
  | 'not-mounted'
  | 'denied'
  | 'threshold'
  | 'not-readable';

/** A way to learn what is held, and whether this kernel offers it. */
export interface OfferedMethod {
  readonly method: Extract<MethodCode, ReadingMethod | 'tracefs'>;
  /** Null: it can be had. */
  readonly refusal: MethodRefusal | null;
  /** In words of the host; hostile. */
  readonly why: string | null;
}
