import type { Severity } from './finding.js';

/** From these parts of the machine's memory on something is told, and is severe. */
const TOLD = 0.05;
const SEVERE = 0.25;

/** Less than this is nobody's trouble, on however small a machine. */
const LEAST_BYTES = 32 * 2 ** 20;

/** How severe it is that so many bytes of a whole are in one hand; undefined: not worth to know. */
export function severityOf(bytes: number, whole: number): Severity | undefined {
  if (bytes < LEAST_BYTES || bytes < TOLD * whole) return undefined;
  return bytes >= SEVERE * whole ? 'critical' : 'warning';
}
