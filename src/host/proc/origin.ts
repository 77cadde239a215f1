import type { Origin } from '../../records/sample-origin.js';
import type { HostSource } from '../host-source.js';
import { optionalText } from './process.js';
import { readUptime } from './uptime.js';

/** @param at when: a capture has its own time, which may not be known */
export function hostOrigin(source: HostSource, at: Date | null): Origin {
  const line = (path: string) => optionalText(source, path).trim() || null;
  return {
    at,
    host: line('/proc/sys/kernel/hostname'),
    bootId: line('/proc/sys/kernel/random/boot_id'),
    uptime: readUptime(source),
  };
}
