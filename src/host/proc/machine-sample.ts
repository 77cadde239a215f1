import { HostError, type HostErrorCode } from '../../base/errors.js';
import type {
  MachineSample,
  Origin,
  Pressure,
  PressureLine,
} from '../../records/machine-sample.js';
import type { HostSource } from '../host-source.js';
import { optionalText } from './process.js';

/** @throws {HostError} without /proc/uptime: rates need a clock that cannot be set */
export function readMachine(source: HostSource, at: Date): MachineSample {
  const uptime = readUptime(source);
  if (uptime === null) throw new HostError('unreadable', 'malformed /proc/uptime');
  const meminfo = optionalText(source, '/proc/meminfo');
  const bytes = (name: string): number | null => {
    const kib = new RegExp(`^${name}:\\s+(\\d{1,13}) kB$`, 'm').exec(meminfo)?.[1];
    return kib === undefined ? null : Number(kib) * 1024;
  };
  const found = readMachinePressure(source);
  const line = (path: string) => optionalText(source, path).trim() || null;
  return {
    at,
    uptime,
    bootId: line('/proc/sys/kernel/random/boot_id'),
    host: line('/proc/sys/kernel/hostname'),
    total: bytes('MemTotal'),
    // Since 3.14.
    available: bytes('MemAvailable'),
    swapTotal: bytes('SwapTotal'),
    swapFree: bytes('SwapFree'),
    pressure: 'pressure' in found ? found.pressure : null,
    noPressure: 'why' in found ? found.why : null,
    noPressureCode: 'why' in found ? found.code : null,
  };
}

/** Seconds since boot, including suspend; null: /proc/uptime is not available. */
export function readUptime(source: HostSource): number | null {
  const text = /^(\d{1,15}(?:\.\d{1,9})?) /.exec(optionalText(source, '/proc/uptime'))?.[1];
  return text === undefined ? null : Number(text);
}

/** @param at capture time, null if unknown */
export function hostOrigin(source: HostSource, at: Date | null): Origin {
  const line = (path: string) => optionalText(source, path).trim() || null;
  return {
    at,
    host: line('/proc/sys/kernel/hostname'),
    bootId: line('/proc/sys/kernel/random/boot_id'),
    uptime: readUptime(source),
  };
}

/** Mount points of cgroup v2, alone and next to version 1 (systemd's CGROUP_INTERFACE). */
const CGROUP_ROOTS = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'];

/** Reads /proc/pressure/memory, or returns why it is missing: a kernel without CONFIG_PSI, or booted with psi=0. */
export function readMachinePressure(
  source: HostSource,
): { readonly pressure: Pressure } | { readonly code: HostErrorCode; readonly why: string } {
  const path = '/proc/pressure/memory';
  try {
    const pressure = parsePressure(source.readText(path));
    return pressure ? { pressure } : { code: 'unreadable', why: `malformed ${path}` };
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return { code: error.code, why: error.message };
  }
}

/** memory.pressure of a cgroup; null: not available, as in version 1. */
export function readCgroupPressure(source: HostSource, path: string): Pressure | null {
  // A cgroup outside of our cgroup namespace has a path that leads elsewhere.
  if (!path.startsWith('/') || path.split('/').includes('..')) return null;
  for (const root of CGROUP_ROOTS) {
    try {
      return parsePressure(source.readText(`${root}${path === '/' ? '' : path}/memory.pressure`));
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
    }
  }
  return null;
}

/** Null: malformed. */
export function parsePressure(text: string): Pressure | null {
  const [some, full] = ['some', 'full'].map((name) => lineOf(text, name));
  return some && full ? { some, full } : null;
}

function lineOf(text: string, name: string): PressureLine | null {
  const figure = String.raw`(\d{1,3}\.\d{2})`;
  const line = new RegExp(
    `^${name} avg10=${figure} avg60=${figure} avg300=${figure} total=(\\d{1,15})$`,
    'm',
  ).exec(text);
  if (!line) return null;
  const [avg10 = 0, avg60 = 0, avg300 = 0, totalMicroseconds = 0] = line.slice(1).map(Number);
  return { avg10, avg60, avg300, totalMicroseconds };
}
