import type { ReaderRights } from './processes.js';

/** Numbers of the rights that matter here (include/uapi/linux/capability.h). */
const BITS = {
  dac_override: 1n,
  dac_read_search: 2n,
  net_admin: 12n,
  sys_rawio: 17n,
  sys_ptrace: 19n,
  sys_admin: 21n,
  syslog: 34n,
} as const;

type Right = keyof typeof BITS;

/** Rights without which something is not seen. */
const RIGHTS: readonly Right[] = [
  'sys_ptrace',
  'dac_read_search',
  'sys_admin',
  'net_admin',
  'sys_rawio',
  'syslog',
];

/** The names of the effective capabilities that a /proc/PID/status tells (CapEff), of those that matter here. */
export function capabilitiesOf(status: string): string[] {
  const digits = /^CapEff:\s*([0-9a-f]{1,16})$/m.exec(status)?.[1] ?? '0';
  const held = BigInt(`0x${digits}`);
  return Object.entries(BITS).flatMap(([name, bit]) => ((held >> bit) & 1n ? [name] : []));
}

/** Those without which something is not seen, and that are lacking: `CAP_SYS_PTRACE`, … */
export function lackingRights(status: string): string[] {
  const held = capabilitiesOf(status);
  return RIGHTS.filter(
    (right) =>
      !held.includes(right) && !(right === 'dac_read_search' && held.includes('dac_override')),
  ).map((right) => `CAP_${right.toUpperCase()}`);
}

/** Whether none of them is there. */
export const lacksAll = (lacking: readonly string[]) => lacking.length === RIGHTS.length;

/** The rights of the process whose /proc/PID/status this is; undefined: it does not say. */
export function rightsOf(status: string): ReaderRights | undefined {
  const uid = /^Uid:\s+\d+\s+(\d+)/m.exec(status)?.[1];
  if (uid === undefined || !/^CapEff:/m.test(status)) return undefined;
  return { root: uid === '0', capabilities: capabilitiesOf(status) };
}

/** Why the kernel refuses what this capability allows, and what helps. Root is never advised to be root. */
export function refusalWords(reader: ReaderRights | undefined, right: Right): string {
  const name = `CAP_${right.toUpperCase()}`;
  if (reader === undefined) return `it takes ${name}`;
  if (reader.capabilities.includes(right))
    return `permission denied despite ${name} (another user namespace or a security module?)`;
  if (reader.root) return `root lacks ${name} here, as in a container`;
  return `run it as root, or with ${name}`;
}
