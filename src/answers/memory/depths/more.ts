import { formatCount } from '../../text/size.js';

/** Adds how many rows the limit omits. */
export function more(table: string, left: number): string {
  return left > 0 ? `${table}\n\n${formatCount(left)} more: --limit N lists them` : table;
}
