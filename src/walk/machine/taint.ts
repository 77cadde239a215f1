/** Letters and words for the bits of `tainted_mask` (Documentation/admin-guide/tainted-kernels.rst). */
const FLAGS: readonly (readonly [letter: string, words: string])[] = [
  ['P', 'proprietary module'],
  ['F', 'module loaded by force'],
  ['S', 'kernel on a system out of its specification'],
  ['R', 'module unloaded by force'],
  ['M', 'machine check exception'],
  ['B', 'bad page'],
  ['U', 'set by user space'],
  ['D', 'died: an oops or BUG before'],
  ['A', 'ACPI table overridden'],
  ['W', 'warning'],
  ['C', 'staging driver'],
  ['I', 'firmware bug worked around'],
  ['O', 'module built out of tree'],
  ['E', 'unsigned module'],
  ['L', 'soft lockup'],
  ['K', 'live patched'],
  ['X', 'set by the distribution'],
  ['T', 'randomized struct layout'],
  ['N', 'test has run'],
  ['J', 'debug write through fwctl'],
];

export interface Taint {
  readonly letter: string;
  readonly words: string;
}

/** The flags that are set, those without a known letter as their bit. */
export function taintFlags(mask: bigint): Taint[] {
  const flags: Taint[] = [];
  for (let bit = 0; bit < 64; bit++) {
    if (((mask >> BigInt(bit)) & 1n) === 0n) continue;
    const [letter, words] = FLAGS[bit] ?? ['?', `bit ${bit}`];
    flags.push({ letter, words });
  }
  return flags;
}
