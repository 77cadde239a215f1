/** What an instance of ours is for. */
export const PURPOSES = ['allocations', 'frees', 'rate'] as const;
export type Purpose = (typeof PURPOSES)[number];

/** Who made an instance: its pid, and when that process started, which tells it from later ones of that pid. */
export interface InstanceOwner {
  readonly pid: number;
  /** Clock ticks since the machine booted (/proc/PID/stat, field 22). */
  readonly start: string;
}

const NAME = /^kdump-mem-(?<pid>\d{1,10})-(?<start>\d{1,20})-[a-z]+$/;

export function instanceName({ pid, start }: InstanceOwner, purpose: Purpose): string {
  return `kdump-mem-${pid}-${start}-${purpose}`;
}

/** Undefined: it is not one of ours. */
export function ownerOf(name: string): InstanceOwner | undefined {
  const { pid, start } = NAME.exec(name)?.groups ?? {};
  return pid === undefined || start === undefined ? undefined : { pid: Number(pid), start };
}
