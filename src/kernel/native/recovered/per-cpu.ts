import type { SectionVariable } from '../btf/section-variables.js';

/** Exported per-CPU variables that must lie as their types say, before the others are believed. */
const LEAST_CONFIRMED = 3;

/**
 * Addresses of the templates of per-CPU variables, which are the only variables that BTF lists: it
 * has their places in `.data..percpu`, and the exported ones tell where that begins. `__per_cpu_start`
 * is among them, and as `__per_cpu_end` the end of the last of them: alignment may follow.
 *
 * @param exported name → address of what the kernel exports
 * @returns empty where the exported ones do not all agree on the beginning
 */
export function findPerCpu(
  variables: ReadonlyMap<string, SectionVariable>,
  exported: ReadonlyMap<string, bigint>,
): ReadonlyMap<string, bigint> {
  const found = new Map<string, bigint>();
  let start: bigint | undefined;
  let confirmed = 0;
  for (const [name, { offset }] of variables) {
    const address = exported.get(name);
    if (address === undefined) continue;
    const begins = BigInt.asUintN(64, address - BigInt(offset));
    if (start !== undefined && begins !== start) return found;
    start = begins;
    confirmed++;
  }
  if (start === undefined || confirmed < LEAST_CONFIRMED) return found;
  let end = 0;
  for (const [name, { offset, size }] of variables) {
    found.set(name, start + BigInt(offset));
    end = Math.max(end, offset + size);
  }
  found.set('__per_cpu_start', start);
  found.set('__per_cpu_end', start + BigInt(end));
  return found;
}
