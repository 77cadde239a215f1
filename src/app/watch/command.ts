import type { Command } from 'commander';
import { EXIT } from '../kit/failure.js';
import { checkPage } from '../kit/html-page.js';
import { addWatchOptions, checkWatchOptions, type WatchOptions } from './options.js';

const EXAMPLES = `
Examples:
  kdump-mem watch --store watch.ndjson
      sample each minute until Ctrl-C, then print the growth; an existing store is continued
  kdump-mem watch --store watch.ndjson --for 0
      print the growth so far, also while another watch is recording
  kdump-mem watch --store watch.ndjson --for 0 --html watch.html
      the same as a page
  kdump-mem watch --for 7d --store watch.ndjson --listen 127.0.0.1:9701
      record for a week, with metrics for Prometheus
  kdump-mem watch --ring /var/lib/kdump-mem-ring/ring
      record the last minutes before a crash, for kdump-mem triage --ring (deploy/systemd)

A verdict needs two days of samples, because a daily load pattern looks like a leak.
Before that, the answer shows the growth so far and is inconclusive.
The store is bounded: after --rotate bytes FILE becomes FILE.1, then FILE.2.
--source pageflags and kcore show more of the kernel, and take seconds per sample.
Docs: docs/watch.md.

Exit status: 0 answered, 2 wrong usage, 3 /proc or the store could not be read or
written, 5 (with --strict) the answer is inconclusive or incomplete.`;

/** Registers `kdump-mem watch`, which finds slow growth over days. */
export function registerWatch(program: Command): void {
  addWatchOptions(program.command('watch'))
    .description('find slow memory growth of this machine over days')
    .addHelpText('after', EXAMPLES)
    .action(runWatch);
}

async function runWatch(options: WatchOptions): Promise<void> {
  checkWatchOptions(options);
  const { store, listen, ring } = options;
  if (ring !== undefined) return (await import('./ring.js')).recordRing(ring, options.for);
  checkPage(options);
  const { printWatched, reportStore: askStore, Watch } = await import('./run.js');
  if (options.for === 0) return printWatched(askStore(store ?? ''), options);
  const watch = new Watch(options);
  await watch.open();
  const server =
    listen &&
    (await (
      await import('../kit/metrics-server.js')
    ).serveMetrics('kdump-mem watch', listen, async () => watch.metrics()));
  if (server === null) {
    process.exitCode = EXIT.unreadable;
    return;
  }
  try {
    await watch.run();
  } finally {
    await server?.close();
  }
  printWatched(watch.answer(), options);
}
