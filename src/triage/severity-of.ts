import type { Severity } from './finding.js';

/** From these shares of the machine's memory something is reported, and is severe. */
const TOLD = 0.05;
const SEVERE = 0.25;

/** Less than this is no problem, however small the machine. */
const LEAST_BYTES = 32 * 2 ** 20;

/** How severe it is that one owner has so many bytes of a whole; undefined: not a finding. */
export function severityOf(bytes: number, whole: number): Severity | undefined {
  if (bytes < LEAST_BYTES || bytes < TOLD * whole) return undefined;
  return bytes >= SEVERE * whole ? 'critical' : 'warning';
}
