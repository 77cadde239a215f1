import type { LeakMethodsJson } from '../answers/leaks/schema.js';
/** A recording method, and whether this kernel offers it. */
export type OfferedMethod = Pick<LeakMethodsJson['methods'][number], 'method' | 'refusal' | 'why'>;

export type MethodRefusal = NonNullable<OfferedMethod['refusal']>;

/** Returns the first available method. Methods that start another program are used on request only (`--engine`). */
export function defaultMethod(
  offered: readonly OfferedMethod[],
): Exclude<OfferedMethod['method'], 'bpftrace'> | undefined {
  for (const { method, refusal } of offered)
    if (refusal === null && method !== 'bpftrace') return method;
  return undefined;
}
