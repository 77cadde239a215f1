import { formatCount } from '../../text/size.js';

/** Says how many rows a limit left out. */
export function more(table: string, left: number): string {
  return left > 0 ? `${table}\n\n${formatCount(left)} more: --limit N lists them` : table;
}
