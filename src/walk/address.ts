/** Formats an address in network byte order and a port: `10.0.2.15:9000` or `[fe80::1]:80`. */
export function formatInet(address: Uint8Array, port: number): string {
  const text = formatAddress(address);
  return address.length === 4 ? `${text}:${port}` : `[${text}]:${port}`;
}

/** Formats an address in network byte order: `10.0.2.15` or `fe80::1`. */
export function formatAddress(address: Uint8Array): string {
  return address.length === 4 ? address.join('.') : formatIpv6(address);
}

/**
 * Formats as in RFC 5952: lower case, the longest run of two or more zero groups as `::`, IPv4-mapped
 * addresses dotted.
 */
function formatIpv6(address: Uint8Array): string {
  const groups = Array.from(
    { length: 8 },
    (_, index) => ((address[index * 2] ?? 0) << 8) | (address[index * 2 + 1] ?? 0),
  );
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return `::ffff:${address.subarray(12).join('.')}`;
  }
  let best = { start: 0, length: 0 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const hex = groups.map((group) => group.toString(16));
  if (best.length < 2) return hex.join(':');
  const tail = hex.slice(best.start + best.length);
  return `${hex.slice(0, best.start).join(':')}::${tail.join(':')}`;
}
