import type { GrownProcess, GrowthAnswer } from '../growth/answer.js';
import { growthPage } from '../report/growth/text.js';
import { watchPageFrame, watchWhen } from '../report/text/watch-page.js';
import type { Warning } from '../walk/warnings.js';
import { WatchScreen } from './watch-screen.js';

/** One look at processes, and which of them are to be shown. */
export interface ShownGrowth {
  readonly answer: GrowthAnswer;
  readonly listed: readonly GrownProcess[];
  readonly warnings: readonly Warning[];
  readonly look: number;
}

/** The live table of `procs --watch`. */
export function growthScreen(
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
