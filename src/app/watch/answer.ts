import { watchHtml } from '../../answers/watch/html/page.js';
import { watchMetrics } from '../../answers/watch/prometheus.js';
import { watchJson, watchText } from '../../answers/watch/render.js';
import { isComplete, verdictWords, type Watched } from '../../answers/watch/words.js';
import { formatJson } from '../../base/json.js';
import { shellPath } from '../../base/shell.js';
import { EXIT } from '../kit/failure.js';
import { writePage } from '../kit/html-page.js';
import { printAnswer, printText, printWarnings, writeTextfile } from '../kit/output.js';
import { terminalWidth } from '../kit/terminal.js';
import type { WatchOptions } from './options.js';

/** Prints the growth in the requested format. */
export function printWatched(watched: Watched, options: WatchOptions): void {
  const { html, json, limit, strict, prometheus } = options;
  const metrics = () => watchMetrics(watched.answer, null);
  if (watched.ended === 'stored' && typeof prometheus === 'string')
    writeTextfile(prometheus, metrics());
  if (watched.ended === 'stored' && prometheus === true) process.stdout.write(metrics());
  else if (json) printAnswer(formatJson(watchJson(watched), 2));
  else if (html !== undefined) printAnswer(page(watched, options));
  else printText(watchText(watched, { limit, width: terminalWidth() }));
  if (!json) printWarnings(watched.warnings);
  if (strict && !isComplete(watched)) process.exitCode = EXIT.incomplete;
}

function page(watched: Watched, options: WatchOptions): string {
  const { store, limit } = options;
  const source =
    store === undefined ? 'kdump-mem watch' : `kdump-mem watch --for 0 --store ${shellPath(store)}`;
  return writePage(
    options,
    source,
    (facts) => watchHtml(watched, facts, limit),
    () => verdictWords(watched.answer),
  );
}
