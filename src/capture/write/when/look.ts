import { HostError } from '../../../base/errors/host.js';
import type { HostSource } from '../../../host/host-source.js';
import { readMachinePressure } from '../../../host/proc/pressure.js';
import type { Condition } from './conditions.js';

/** What a look found of a condition. */
export interface Found {
  readonly condition: Condition;
  /** Percent of psi, bytes of available; of oom kills since boot. */
  readonly value: number;
  /** Of available: what it is held against, bytes. */
  readonly limit?: number;
}

/**
 * What the host says of each condition now.
 *
 * @throws {HostError} `unreadable`: this host does not tell of one of them, with the reason
 */
export function lookAt(source: HostSource, conditions: readonly Condition[]): Found[] {
  return conditions.map((condition) => lookFor(source, condition));
}

function lookFor(source: HostSource, condition: Condition): Found {
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
    throw cannotTell(
      kind,
      told.why,
      'It takes a kernel with CONFIG_PSI that was booted with psi=1.',
    );
  return told.pressure[kind === 'psi' ? 'some' : 'full'].avg10;
}

function availableOf(
  source: HostSource,
  condition: Extract<Condition, { kind: 'available' }>,
): Found {
  const text = source.readText('/proc/meminfo');
  const of = (name: string): number => {
    const kib = new RegExp(`^${name}: +(\\d{1,13}) kB$`, 'm').exec(text)?.[1];
    if (kib === undefined)
      throw cannotTell(
        'available',
        `/proc/meminfo has no ${name}`,
        'It takes Linux 3.14 or later.',
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
    throw cannotTell('oom', '/proc/vmstat has no oom_kill', 'It takes Linux 4.13 or later.');
  return Number(kills);
}

function cannotTell(what: string, why: string, next: string): HostError {
  return new HostError('unreadable', `--when ${what} cannot be told here: ${why}`, {
    next: `${next} Or leave ${what} out.`,
  });
}
