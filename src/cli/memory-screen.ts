import type { MemoryAnswer } from '../account/memory/answer.js';
import type { Look } from '../account/memory/changes.js';
import { watchPage } from '../report/memory/watch.js';
import { watchPageFrame, watchWhen } from '../report/text/watch-page.js';
import { WatchScreen } from './watch-screen.js';

interface Shown {
  readonly answer: MemoryAnswer;
  readonly look: Look;
}

/** The live table of `memory --watch`. */
export function memoryScreen(interval: number, quit: () => void): WatchScreen<Shown> {
  return new WatchScreen<Shown>({
    waiting: 'looking …',
    quit,
    frame: ({ answer, look }, view) =>
      watchPageFrame(
        watchPage(answer, look, view.columns),
        view,
        watchWhen(look.number, look.at, interval),
      ),
  });
}
