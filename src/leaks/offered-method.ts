import type { ReadingMethod } from './readings/take.js';
import type { MethodCode } from './recording.js';

/**
 * Why a method cannot be had. `absent`: this kernel was built without it, or is too old. `off`: it must be asked
 * for when the kernel starts. `not-mounted`: debugfs or tracefs. `denied`: only root may. `threshold`: it leaves
 * out what is small. `not-installed`: a program that it needs. `not-readable`: see `why`.
 */
export type MethodRefusal =
  | 'absent'
  | 'off'
  | 'not-mounted'
  | 'denied'
  | 'threshold'
  | 'not-installed'
  | 'not-readable';

/** A way to learn what is held, and whether this kernel offers it. */
export interface OfferedMethod {
  readonly method: Extract<MethodCode, ReadingMethod | 'tracefs' | 'bpftrace'>;
  /** Null: it can be had. */
  readonly refusal: MethodRefusal | null;
  /** In words of the host; hostile. */
  readonly why: string | null;
}

/** The first that can be had. What starts a program of others is taken by name alone (`--engine`). */
export function defaultMethod(
  offered: readonly OfferedMethod[],
): Exclude<OfferedMethod['method'], 'bpftrace'> | undefined {
  for (const { method, refusal } of offered)
    if (refusal === null && method !== 'bpftrace') return method;
  return undefined;
}
