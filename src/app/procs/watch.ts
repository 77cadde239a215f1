import { procsEnd } from '../../answers/growth/json.js';
import { processMetrics } from '../../answers/growth/prometheus.js';
import { growthPage } from '../../answers/growth/text.js';
import { watchPageBlock, watchPageFrame, watchWhen } from '../../answers/text/watch-page.js';
import { HostError } from '../../base/errors/host.js';
import { formatJson } from '../../base/json.js';
import type { GrownProcess, GrowthAnswer } from '../../growth/answer.js';
import { OF_LOOKS } from '../../growth/history.js';
import { ProcessGrowth } from '../../growth/processes.js';
import type { HostSource } from '../../host/host-source.js';
import type { Warning } from '../../walk/warnings.js';
import { EXIT } from '../kit/failure.js';
import { printAnswer, printStream, writeTextfile } from '../kit/output.js';
import { SampleLoop } from '../kit/sampling.js';
import { WatchScreen } from '../kit/screen.js';
import { takesEscapes, terminalWidth } from '../kit/terminal.js';
import { lookAtProcesses } from './live-sample.js';
import type { ProcsOptions } from './options.js';
import { checkThere, chosen, lookLines } from './sample-lines.js';

const USUAL_SECONDS = 2;

/** A block in a pipe lists so many processes. */
const USUAL_ROWS = 20;

/**
 * Looks at the processes of this machine, once or again and again, and tells which of them grow: on a terminal a
 * table that is redrawn in place, in a pipe blocks, with --ndjson lines and a last one that says so, with
 * --prometheus metrics.
 */
export async function watchProcesses(source: HostSource, options: ProcsOptions): Promise<void> {
  const { watch, ndjson, prometheus, verbose, strict } = options;
  const { interval = USUAL_SECONDS, count = watch ? Number.POSITIVE_INFINITY : 1 } = options;
  const again = new SampleLoop();
  const onScreen = takesEscapes() && !ndjson && prometheus === undefined;
  const screen = onScreen ? growthScreen(interval, verbose, again.stop) : null;
  const growth = new ProcessGrowth('last', OF_LOOKS);
  try {
    await again.run(interval, count, async () => {
      const found = await lookAtProcesses(source, new Date());
      if (strict && !found.answer.complete) process.exitCode = EXIT.incomplete;
      if (growth.add(found.look) === 'mixed')
        throw new HostError('unreadable', '/proc: boot ids alternate between samples');
      const answer = growth.answer();
      if (!answer) return;
      const look = again.count;
      if (look === 1) checkThere(found, options);
      const { warnings } = found.answer;
      if (ndjson) await printStream(lookLines(found, answer, look, options));
      else if (prometheus === true) process.stdout.write(processMetrics(answer));
      else if (prometheus !== undefined) writeTextfile(prometheus, processMetrics(answer));
      else {
        const listed = chosen(found, answer, options);
        if (screen) screen.show({ answer, listed, warnings, look });
        else {
          const rows = listed.slice(0, options.limit ?? USUAL_ROWS);
          const page = growthPage(answer, warnings, {
            listed: rows,
            width: terminalWidth(),
            verbose,
          });
          printAnswer(watchPageBlock(page, look, answer.machine.at));
        }
      }
    });
    if (ndjson) printAnswer(formatJson(procsEnd(again.count, again.interrupted)));
  } finally {
    screen?.end();
  }
}

/** One look at processes, and which of them are to be shown. */
interface ShownGrowth {
  readonly answer: GrowthAnswer;
  readonly listed: readonly GrownProcess[];
  readonly warnings: readonly Warning[];
  readonly look: number;
}

/** The live table of `procs --watch`. */
function growthScreen(
  interval: number,
  verbose: boolean | undefined,
  quit: () => void,
): WatchScreen<ShownGrowth> {
  return new WatchScreen<ShownGrowth>({
    waiting: 'looking …',
    quit,
    frame: ({ answer, listed, warnings, look }, view) =>
      watchPageFrame(
        growthPage(answer, warnings, { listed, verbose, width: view.columns }),
        view,
        watchWhen(look, answer.machine.at, interval),
      ),
  });
}
