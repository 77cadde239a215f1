/** A map may have so many bytes: half a million sockets take them. */
export const MOST_MAP_BYTES = 64 << 20;
