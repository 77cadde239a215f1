import { procsEnd } from '../../answers/growth/lines.js';
import { processMetrics } from '../../answers/growth/prometheus.js';
import { growthPage } from '../../answers/growth/text.js';
import { watchPageBlock, watchPageFrame, watchWhen } from '../../answers/text/watch-page.js';
import { HostError } from '../../base/errors.js';
import { formatJson } from '../../base/util.js';
import type { GrownProcess } from '../../contracts/growth.js';
import type { GrowthAnswer } from '../../growth/answer.js';
import { ProcessGrowth } from '../../growth/processes.js';
import { SAMPLE_HISTORY } from '../../growth/trend.js';
import type { HostSource } from '../../host/host-source.js';
import type { Warning } from '../../walk/warnings.js';
import { EXIT } from '../kit/failure.js';
import { printAnswer, printStream, writeTextfile } from '../kit/output.js';
import { SampleLoop, WatchScreen } from '../kit/screen.js';
import { takesEscapes, terminalWidth } from '../kit/terminal.js';
import { checkProcessExists, lookLines, sampleProcesses, selectProcesses } from './host.js';
import type { ProcsOptions } from './options.js';

const USUAL_SECONDS = 2;

/** Default number of processes in a block of text. */
const USUAL_ROWS = 20;

/**
 * Samples the processes of this machine once or repeatedly, and shows which of them grow. On a terminal it
 * redraws a table, in a pipe it prints blocks. With --ndjson it prints lines and a last one that marks the
 * end, with --prometheus metrics.
 */
export async function watchProcesses(source: HostSource, options: ProcsOptions): Promise<void> {
  const { watch, ndjson, prometheus, verbose, strict } = options;
  const { interval = USUAL_SECONDS, count = watch ? Number.POSITIVE_INFINITY : 1 } = options;
  const again = new SampleLoop();
  const onScreen = takesEscapes() && !ndjson && prometheus === undefined;
  const screen = onScreen ? growthScreen(interval, verbose, again.stop) : null;
  const growth = new ProcessGrowth('last', SAMPLE_HISTORY);
  const large = new Set<string>();
  try {
    await again.run(interval, count, async () => {
      const sample = await sampleProcesses(source, new Date(), { pss: options.pss, large });
      if (strict && !sample.answer.complete) process.exitCode = EXIT.incomplete;
      if (growth.add(sample.look) === 'mixed')
        throw new HostError('unreadable', '/proc: boot ids alternate between samples');
      const answer = growth.answer();
      if (!answer) return;
      const index = again.count;
      if (index === 1) checkProcessExists(sample, options);
      const { warnings } = sample.answer;
      if (ndjson) await printStream(lookLines(sample, answer, index, options));
      else if (prometheus === true) process.stdout.write(processMetrics(answer));
      else if (prometheus !== undefined) writeTextfile(prometheus, processMetrics(answer));
      else {
        const listed = selectProcesses(sample, answer, options);
        if (screen) screen.show({ answer, listed, warnings, look: index });
        else {
          const rows = listed.slice(0, options.limit ?? USUAL_ROWS);
          const page = growthPage(answer, warnings, { listed: rows, width: terminalWidth(), verbose });
          printAnswer(watchPageBlock(page, index, new Date(answer.machine.at)));
        }
      }
    });
    if (ndjson) printAnswer(formatJson(procsEnd(again.count, again.interrupted)));
  } finally {
    screen?.end();
  }
}

/** A sample of processes, and the ones to show. */
interface ShownGrowth {
  readonly answer: GrowthAnswer;
  readonly listed: readonly GrownProcess[];
  readonly warnings: readonly Warning[];
  readonly look: number;
}

/** The live table of `procs --watch`. */
function growthScreen(interval: number, verbose: boolean | undefined, quit: () => void): WatchScreen<ShownGrowth> {
  return new WatchScreen<ShownGrowth>({
    waiting: 'sampling …',
    quit,
    frame: ({ answer, listed, warnings, look }, view) =>
      watchPageFrame(
        growthPage(answer, warnings, { listed, verbose, width: view.columns }),
        view,
        watchWhen(look, new Date(answer.machine.at), interval),
      ),
  });
}
