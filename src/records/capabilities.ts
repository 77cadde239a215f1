import type { ReaderRights } from './processes.js';

/** Numbers of the relevant capabilities (include/uapi/linux/capability.h). */
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

/** Capabilities without which some data is not visible. */
const RIGHTS: readonly Right[] = [
  'sys_ptrace',
  'dac_read_search',
  'sys_admin',
  'net_admin',
  'sys_rawio',
  'syslog',
];

/** Names of the relevant effective capabilities in /proc/PID/status (CapEff). */
export function capabilitiesOf(status: string): string[] {
  const digits = /^CapEff:\s*([0-9a-f]{1,16})$/m.exec(status)?.[1] ?? '0';
  const held = BigInt(`0x${digits}`);
  return Object.entries(BITS).flatMap(([name, bit]) => ((held >> bit) & 1n ? [name] : []));
}

/** Missing capabilities that hide something: `CAP_SYS_PTRACE`, … */
export function lackingRights(status: string): string[] {
  const held = capabilitiesOf(status);
  return RIGHTS.filter(
    (right) =>
      !held.includes(right) && !(right === 'dac_read_search' && held.includes('dac_override')),
  ).map((right) => `CAP_${right.toUpperCase()}`);
}

/** Whether all of them are missing. */
export const lacksAll = (lacking: readonly string[]) => lacking.length === RIGHTS.length;

/** CAP_FOWNER (include/uapi/linux/capability.h). */
const FOWNER = 3n;

/** Whether mincore(2) may report other users' files: without CAP_FOWNER it calls all of their pages resident. */
export function mayOwnFiles(status: string): boolean {
  const digits = /^CapEff:\s*([0-9a-f]{1,16})$/m.exec(status)?.[1] ?? '0';
  return ((BigInt(`0x${digits}`) >> FOWNER) & 1n) === 1n;
}

/**
 * Returns the user and capabilities of a process from its /proc/PID/status; undefined if the text lacks them.
 */
export function rightsOf(status: string): ReaderRights | undefined {
  const uid = /^Uid:\s+\d+\s+(\d+)/m.exec(status)?.[1];
  if (uid === undefined || !/^CapEff:/m.test(status)) return undefined;
  return { root: uid === '0', capabilities: capabilitiesOf(status) };
}

/**
 * Explains why the kernel denies what this capability permits, and what helps. Root is never advised to use
 * root.
 */
export function refusalWords(reader: ReaderRights | undefined, right: Right): string {
  const name = `CAP_${right.toUpperCase()}`;
  if (reader === undefined) return `requires ${name}`;
  if (reader.capabilities.includes(right))
    return `permission denied despite ${name} (a process in another user namespace, or a security module)`;
  if (reader.root) return `root lacks ${name} here, as in a container`;
  return `requires root, or ${name}`;
}
