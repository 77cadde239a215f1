import type { Btf } from './btf.js';
import { Kind } from './format.js';

/** A variable in a section of the kernel image, in bytes. */
export interface SectionVariable {
  /** From the section's start. */
  readonly offset: number;
  readonly size: number;
}

/** 32-bit words of a `struct btf_var_secinfo`: type, offset, size. */
const WORDS = 3;

/**
 * The variables of a section (BTF_KIND_DATASEC) by name, without ambiguous names. Empty if the
 * types do not describe the section.
 */
export function sectionVariables(btf: Btf, section: string): ReadonlyMap<string, SectionVariable> {
  const variables = new Map<string, SectionVariable>();
  const ambiguous = new Set<string>();
  for (let id = btf.firstId; id < btf.endId; id++) {
    if (btf.kind(id) !== Kind.DATASEC || btf.name(id) !== section) continue;
    for (let index = 0; index < btf.vlen(id); index++) {
      const variable = btf.extra(id, index * WORDS);
      if (btf.kind(variable) !== Kind.VAR) continue;
      const name = btf.name(variable);
      if (variables.has(name)) ambiguous.add(name);
      variables.set(name, {
        offset: btf.extra(id, index * WORDS + 1),
        size: btf.extra(id, index * WORDS + 2),
      });
    }
  }
  for (const name of ambiguous) variables.delete(name);
  return variables;
}
