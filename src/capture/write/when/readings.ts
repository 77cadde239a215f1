import { HostError } from '../../../base/errors/host.js';
import type { HostSource } from '../../../host/host-source.js';
import { readMachinePressure } from '../../../host/proc/pressure.js';
import type { Condition } from './conditions.js';

/** Current value of a condition. */
export interface Reading {
  readonly condition: Condition;
  /** psi: percent; available: bytes; oom: kills since boot. */
  readonly value: number;
  /** Condition available: limit in bytes. */
  readonly limit?: number;
}

/** Reads the current value of each condition. @throws {HostError} `unreadable`: one is not available on this host */
export function readConditions(source: HostSource, conditions: readonly Condition[]): Reading[] {
  return conditions.map((condition) => readCondition(source, condition));
}

function readCondition(source: HostSource, condition: Condition): Reading {
  switch (condition.kind) {
    case 'psi':
    case 'psi-full':
      return { condition, value: pressureOf(source, condition.kind) };
    case 'available':
      return availableOf(source, condition);
    case 'oom':
      return { condition, value: oomKills(source) };
  }
}

function pressureOf(source: HostSource, kind: 'psi' | 'psi-full'): number {
  const told = readMachinePressure(source);
  if ('why' in told)
    throw notAvailable(kind, told.why, 'It requires a kernel with CONFIG_PSI, booted with psi=1.');
  return told.pressure[kind === 'psi' ? 'some' : 'full'].avg10;
}

function availableOf(
  source: HostSource,
  condition: Extract<Condition, { kind: 'available' }>,
): Reading {
  const text = source.readText('/proc/meminfo');
  const of = (name: string): number => {
    const kib = new RegExp(`^${name}: +(\\d{1,13}) kB$`, 'm').exec(text)?.[1];
    if (kib === undefined)
      throw notAvailable(
        'available',
        `/proc/meminfo has no ${name}`,
        'It requires Linux 3.14 or later.',
      );
    return Number(kib) * 1024;
  };
  const value = of('MemAvailable');
  const limit =
    'bytes' in condition ? condition.bytes : Math.floor((of('MemTotal') * condition.percent) / 100);
  return { condition, value, limit };
}

/** Kills of the OOM killer since boot, of cgroups too (OOM_KILL of mm/vmstat.c; since 4.13). */
function oomKills(source: HostSource): number {
  const kills = /^oom_kill (\d{1,15})$/m.exec(source.readText('/proc/vmstat'))?.[1];
  if (kills === undefined)
    throw notAvailable('oom', '/proc/vmstat has no oom_kill', 'It requires Linux 4.13 or later.');
  return Number(kills);
}

function notAvailable(what: string, why: string, next: string): HostError {
  return new HostError('unreadable', `--when ${what} is not available here: ${why}`, {
    next: `${next} Or omit ${what}.`,
  });
}
