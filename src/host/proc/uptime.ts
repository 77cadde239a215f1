import type { HostSource } from '../host-source.js';
import { optionalText } from './process.js';

/** Seconds since the machine was booted, those in which it slept too; null: /proc/uptime does not tell. */
export function readUptime(source: HostSource): number | null {
  const text = /^(\d{1,15}(?:\.\d{1,9})?) /.exec(optionalText(source, '/proc/uptime'))?.[1];
  return text === undefined ? null : Number(text);
}
