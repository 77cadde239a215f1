/** CRC-32 as cksum has it (POSIX, cksum): polynomial 0x04C11DB7, highest bit first. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte << 24;
  for (let bit = 0; bit < 8; bit++)
    remainder = remainder < 0 ? (remainder << 1) ^ 0x04c11db7 : remainder << 1;
  return remainder >>> 0;
});

/** What `cksum` says of these bytes; their number goes into it too, lowest byte first. */
export function cksum(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) crc = next(crc, byte);
  for (let left = bytes.length; left > 0; left = Math.floor(left / 256))
    crc = next(crc, left & 0xff);
  return ~crc >>> 0;
}

function next(crc: number, byte: number): number {
  return (crc << 8) ^ (TABLE[(crc >>> 24) ^ byte] ?? 0);
}
