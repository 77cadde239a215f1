/** Formats an address, or another word, as the kernel's own tools and the JSON contract do. */
export function hex(value: bigint | number): string {
  return `0x${value.toString(16)}`;
}
