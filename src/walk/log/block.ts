/** Blocks of text are padded to this (sizeof(unsigned long)). */
const ALIGNMENT = 8;

/**
 * Before 5.12 or so printk copied a text that was ready: its block is as long as it. Since then it is
 * printed into its block: the NUL stays, and a prefix (KERN_SOH and a level) and a line break are cut off it.
 */
export type BlockForm = 'copied' | 'printed';

/** More spare bytes than alignment brings are a sign of the second form; so many must show them. */
const LEAST_SIGNS = 3;

/** Tells the form by blocks' rooms: bytes that each has beyond the length of its text. */
export function blockForm(spare: readonly number[]): BlockForm {
  return spare.filter((bytes) => bytes >= ALIGNMENT).length >= LEAST_SIGNS ? 'printed' : 'copied';
}

/**
 * Whether the length of a text fits the block that it lies in: the second fact about `text_len`, and
 * about where the block ends.
 *
 * @param block all of the block behind its id
 * @param length of the text, in bytes
 */
export function fitsBlock(form: BlockForm, block: Uint8Array, length: number): boolean {
  if (form === 'copied') return block.length === aligned(length);
  const nul = block.indexOf(0, length);
  if (nul < 0 || block.length !== aligned(nul + 1)) return false;
  if (block.subarray(0, length).includes(0)) return false;
  for (const breaks of [0, 1]) {
    const prefix = nul - length - breaks;
    if (![0, 2, 4].includes(prefix)) continue;
    // The last line break is always cut off.
    const last = breaks === 1 ? block[nul - 1] : block[length - 1];
    if ((last === NEWLINE) !== (breaks === 1)) continue;
    if (isShifted(block, length, prefix)) return true;
  }
  return false;
}

const NEWLINE = 0x0a;

/** Whether what lies behind the text is its own end, from before it was moved over its prefix. */
function isShifted(block: Uint8Array, length: number, prefix: number): boolean {
  for (let at = length; at < length + prefix; at++) {
    const byte = block[at];
    // Of a text, or of a part that continues one, which is shorter than its prefix, that is seen itself.
    if (byte !== block[at - prefix] && !isPrefix(byte)) return false;
  }
  return true;
}

/** KERN_SOH, levels 0 to 7, `c` of KERN_CONT, `d` of KERN_DEFAULT (include/linux/kern_levels.h). */
function isPrefix(byte = 0): boolean {
  return byte === 1 || (byte >= 0x30 && byte <= 0x37) || byte === 0x63 || byte === 0x64;
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
