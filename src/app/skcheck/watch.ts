import { WATCH_SORTS, type WatchSort, watchFrame } from '../../answers/skcheck/frame.js';
import type { SkcheckReport } from '../../answers/skcheck/schema.js';
import { formatSkcheckText } from '../../answers/skcheck/text.js';
import { formatJson } from '../../base/util.js';
import type { HostSource } from '../../host/host-source.js';
import type { Sample } from '../../host/ss/read.js';
import { Ages } from '../../skcheck/socket-history.js';
import { WatchScreen } from '../kit/screen.js';
import { takesEscapes } from '../kit/terminal.js';
import { EXIT, type SkcheckOptions } from './options.js';
import { scan, statusOf, textOptions } from './scan.js';

/**
 * Scans until it is interrupted; each scan continues the previous one. On a terminal it redraws a table (with
 * TERM=dumb it prints one text after another), otherwise it prints one JSON object per line. Sorted by
 * growth. `--samples N` stops it after N − 1 scans. Returns the exit status of the last one.
 */
export async function watch(source: HostSource, options: SkcheckOptions): Promise<number> {
  const repeats = options.samples === undefined ? Number.POSITIVE_INFINITY : options.samples - 1;
  const interval = options.interval === 0 ? 2 : options.interval;
  const { samples: _, ...perSample } = { ...options, interval };
  const ages = new Ages();
  let since: Sample | null = null;
  let status: number = EXIT.nothingStale;
  const stop = () => process.exit(status);
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  process.once('SIGHUP', stop);
  const screen = takesEscapes() && !options.json ? skcheckScreen(perSample, interval, stop) : null;
  const isText = process.stdout.isTTY && !options.json;
  const show = (report: SkcheckReport) =>
    screen
      ? screen.show(report)
      : process.stdout.write(
          isText ? `${formatSkcheckText(report, textOptions(options))}\n\n` : `${formatJson(report)}\n`,
        );
  try {
    for (let count = 0; count < repeats; count++) {
      const { report, observation } = await scan(source, perSample, { since, ages });
      since = observation.last;
      status = statusOf(report, options);
      if (screen || !options.quiet || status !== EXIT.nothingStale) show(report);
    }
  } finally {
    screen?.end();
  }
  return status;
}

/** The live table of `skcheck --watch`: the last report, in an order that a key changes. */
function skcheckScreen(options: SkcheckOptions, interval: number, quit: () => void): WatchScreen<SkcheckReport> {
  let sort: WatchSort = 'worst';
  return new WatchScreen<SkcheckReport>({
    waiting: `sampling for ${interval} s …`,
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
