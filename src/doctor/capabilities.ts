/** Numbers of the rights that matter here (include/uapi/linux/capability.h). */
const BITS = {
  dac_read_search: 2n,
  net_admin: 12n,
  sys_rawio: 17n,
  sys_ptrace: 19n,
  sys_admin: 21n,
  syslog: 34n,
} as const;

/** The names of the effective capabilities that a /proc/PID/status tells (CapEff), of those that matter here. */
export function capabilitiesOf(status: string): string[] {
  const digits = /^CapEff:\s*([0-9a-f]{1,16})$/m.exec(status)?.[1] ?? '0';
  const held = BigInt(`0x${digits}`);
  return Object.entries(BITS).flatMap(([name, bit]) => ((held >> bit) & 1n ? [name] : []));
}
