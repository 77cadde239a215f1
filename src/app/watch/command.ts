import type { Command } from 'commander';
import { EXIT } from '../kit/failure.js';
import { checkPage } from '../kit/html-page.js';
import { addWatchOptions, checkWatchOptions, type WatchOptions } from './options.js';

const EXAMPLES = `
Examples:
  a sample each minute until Ctrl-C, then what grew; the file goes on where it ends
    kdump-mem watch --store watch.ndjson
  what grew so far, while that goes on or after it; the same as a page
    kdump-mem watch --store watch.ndjson --for 0
    kdump-mem watch --store watch.ndjson --for 0 --html watch.html
  for a week, with metrics for Prometheus
    kdump-mem watch --for 7d --store watch.ndjson --listen 127.0.0.1:9701

A leak is told from what comes back each day from two days on. Before that the
answer says what grew, and that it is not known whether that goes on.
FILE is bounded: after --rotate bytes it becomes FILE.1, then FILE.2.
--source pageflags and kcore tell more of the kernel, and cost seconds a sample.
Docs: docs/watch.md.

Exit status: 0 answered, 2 wrong usage, 3 /proc or the store could not be read or
written, 5 (with --strict) it is not known what grew, or something is missing.`;

/** `kdump-mem watch`: what grows slowly, over days. */
export function registerWatch(program: Command): void {
  addWatchOptions(program.command('watch'))
    .description('what grows slowly: categories and processes of this machine, over days')
    .addHelpText('after', EXAMPLES)
    .action(runWatch);
}

async function runWatch(options: WatchOptions): Promise<void> {
  checkWatchOptions(options);
  const { store, listen } = options;
  checkPage(options);
  const [{ askStore, Watch }, { printWatched }] = await Promise.all([
    import('./run.js'),
    import('./answer.js'),
  ]);
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
