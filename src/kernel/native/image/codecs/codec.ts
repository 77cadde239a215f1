/**
 * Inflates a page of exactly `size` bytes. Returns undefined where the input is damaged or gives
 * another length; never allocates more than `size` bytes for it, and never throws.
 */
export type Codec = (input: Uint8Array, size: number) => Uint8Array | undefined;
