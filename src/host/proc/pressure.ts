import { HostError, type HostErrorCode } from '../../base/errors/host.js';
import type { Pressure, PressureLine } from '../../records/machine-sample.js';
import type { HostSource } from '../host-source.js';

/** Where cgroups of version 2 are mounted, alone and beside those of version 1 (systemd's CGROUP_INTERFACE). */
const CGROUP_ROOTS = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'];

/** /proc/pressure/memory, or why there is none: a kernel without CONFIG_PSI, or one that was booted with psi=0. */
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

/** memory.pressure of a cgroup; null: it has none, such as one of version 1. */
export function readCgroupPressure(source: HostSource, path: string): Pressure | null {
  // A cgroup outside of ours has a path that leads elsewhere.
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

/** Null: it is not as the kernel writes it. */
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
