import type { MemoryAnswer } from '../../account/memory/answer.js';
import { type MemorySample, MemorySamples } from '../../account/memory/changes.js';
import { memoryJson, memoryWatchEnd } from '../../answers/memory/json.js';
import { watchBlock, watchPage } from '../../answers/memory/watch.js';
import { watchPageFrame, watchWhen } from '../../answers/text/watch-page.js';
import { formatJson } from '../../base/json.js';
import { EXIT, UsageError } from '../kit/failure.js';
import { printAnswer } from '../kit/output.js';
import { SampleLoop } from '../kit/sampling.js';
import { WatchScreen } from '../kit/screen.js';
import { takesEscapes, terminalWidth } from '../kit/terminal.js';

export interface WatchOptions {
  readonly watch?: true;
  /** Seconds between the beginnings of two looks. */
  readonly interval?: number;
  readonly count?: number;
  readonly live?: true;
  readonly json?: true;
  readonly strict?: true;
}

const USUAL_SECONDS = 2;

/** @throws {UsageError} for options that mean nothing without or beside `--watch` */
export function checkWatch({ watch, interval, count, live }: WatchOptions): void {
  if (!watch && interval !== undefined) throw new UsageError('--interval requires --watch');
  if (!watch && count !== undefined) throw new UsageError('--count requires --watch');
  if (watch && !live) throw new UsageError('--watch requires --live: a dump does not change');
  if (count === 0) throw new UsageError('--count must be at least 1');
}

/**
 * Looks again and again until it is interrupted or has looked as often as it should: on a terminal a
 * table that is redrawn in place, in a pipe a block of text for each look, with `--json` a JSON object in
 * a line for each, and a last line that says that it is the last.
 *
 * @param look asks once; all looks are of the source of the first
 */
export async function watchMemory(
  look: (source: MemoryAnswer['source'] | undefined) => Promise<MemoryAnswer>,
  { interval = USUAL_SECONDS, count = Number.POSITIVE_INFINITY, json, strict }: WatchOptions,
): Promise<void> {
  const again = new SampleLoop();
  const screen = takesEscapes() && !json ? memoryScreen(interval, again.stop) : null;
  const looks = new MemorySamples();
  let source: MemoryAnswer['source'] | undefined;
  try {
    await again.run(interval, count, async () => {
      const answer = await look(source);
      source = answer.source;
      if (strict && !answer.complete) process.exitCode = EXIT.incomplete;
      const one = looks.next(answer, new Date());
      if (screen) screen.show({ answer, look: one });
      else
        printAnswer(
          json
            ? formatJson(memoryJson({ ...answer, sample: one }))
            : watchBlock(answer, one, terminalWidth()),
        );
    });
    if (json) printAnswer(formatJson(memoryWatchEnd(looks.count, again.interrupted)));
  } finally {
    screen?.end();
  }
}

interface Shown {
  readonly answer: MemoryAnswer;
  readonly look: MemorySample;
}

/** The live table of `memory --watch`. */
function memoryScreen(interval: number, quit: () => void): WatchScreen<Shown> {
  return new WatchScreen<Shown>({
    waiting: 'scanning …',
    quit,
    frame: ({ answer, look }, view) =>
      watchPageFrame(
        watchPage(answer, look, view.columns),
        view,
        watchWhen(look.number, look.at, interval),
      ),
  });
}
