import { WATCH_SORTS, type WatchSort, watchFrame } from '../report/skcheck/frame.js';
import type { SkcheckReport } from '../report/skcheck/schema.js';
import type { SkcheckOptions } from './skcheck-asked.js';
import { textOptions } from './skcheck-look.js';
import { WatchScreen } from './watch-screen.js';

/** The live table of `skcheck --watch`: the last report, in an order that a key changes. */
export function skcheckScreen(
  options: SkcheckOptions,
  interval: number,
  quit: () => void,
): WatchScreen<SkcheckReport> {
  let sort: WatchSort = 'worst';
  return new WatchScreen<SkcheckReport>({
    waiting: `watching for ${interval} s …`,
    quit,
    sort: () => {
      sort = WATCH_SORTS[(WATCH_SORTS.indexOf(sort) + 1) % WATCH_SORTS.length] ?? 'worst';
    },
    frame: (report, view) => {
      const when = `${report.host.takenAt.slice(11, 19)} UTC, every ${interval} s`;
      return watchFrame(report, { ...view, sort, when }, textOptions(options));
    },
  });
}
