import type { HostSource } from '../host/source.js';
import type { Sample } from '../host/ss/read.js';
import { formatJson } from '../report/json.js';
import { formatSkcheckText } from '../report/skcheck-text.js';
import { Ages } from '../stale/ages.js';
import { EXIT } from './skcheck-failure.js';
import { look, painter, statusOf } from './skcheck-look.js';
import type { SkcheckOptions } from './skcheck-options.js';

const HOME = '\u001b[H';
const ERASE_LINE = '\u001b[K';
const ERASE_BELOW = '\u001b[J';
const SHOW_CURSOR = '\u001b[?25h';
const HIDE_CURSOR = '\u001b[?25l';

/**
 * Looks again and again until it is interrupted, each look going on from the one before: on a terminal
 * a table that is redrawn in place, else one JSON object in a line for each look. Sorted by growth.
 * With `--samples N` it ends by itself after N − 1 looks. Returns the exit status of the last one.
 */
export async function watch(source: HostSource, options: SkcheckOptions): Promise<number> {
  const terminal = process.stdout.isTTY && !options.json;
  const looks = options.samples === undefined ? Number.POSITIVE_INFINITY : options.samples - 1;
  const ages = new Ages();
  let since: Sample | null = null;
  let status: number = EXIT.nothingStale;
  let interrupted = false;
  const stop = () => {
    interrupted = true;
    if (terminal) process.stdout.write(SHOW_CURSOR);
    process.exit(status);
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  const interval = options.interval === 0 ? 2 : options.interval;
  const { samples: _, ...each } = { ...options, interval };
  if (terminal) process.stdout.write(`${HIDE_CURSOR}${HOME}${ERASE_BELOW}`);
  for (let count = 0; count < looks && !interrupted; count++) {
    const { report, observation } = await look(source, each, { since, ages });
    since = observation.last;
    status = statusOf(report, options);
    if (options.quiet && status === EXIT.nothingStale) continue;
    process.stdout.write(
      terminal
        ? frame(
            `${report.host.takenAt.slice(11, 19)} UTC, every ${interval} s\n${formatSkcheckText(report, painter(true))}`,
            process.stdout.rows || 24,
          )
        : `${formatJson(report)}\n`,
    );
  }
  if (terminal) process.stdout.write(SHOW_CURSOR);
  return status;
}

/** A screenful: each line erases what an older and longer one left, and the last line stays free. */
export function frame(text: string, rows: number): string {
  const lines = text.split('\n').slice(0, Math.max(1, rows - 1));
  return `${HOME}${lines.map((line) => `${line}${ERASE_LINE}\n`).join('')}${ERASE_BELOW}`;
}
