import { HostError } from '../../base/errors/host.js';
import type { MachineSample } from '../../records/machine-sample.js';
import type { HostSource } from '../host-source.js';
import { readMachinePressure } from './pressure.js';
import { optionalText } from './process.js';
import { readUptime } from './uptime.js';

/** @throws {HostError} without /proc/uptime: a clock that somebody may set makes no rates */
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
