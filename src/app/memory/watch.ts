import type { MemoryAnswer } from '../../account/memory/answer.js';
import { type MemorySample, MemorySamples } from '../../account/memory/tree.js';
import { memoryJson, memoryWatchEnd } from '../../answers/memory/json.js';
import { watchBlock, watchPage } from '../../answers/memory/text.js';
import { watchPageFrame, watchWhen } from '../../answers/text/watch-page.js';
import { formatJson } from '../../base/util.js';
import { EXIT, UsageError } from '../kit/failure.js';
import { printAnswer } from '../kit/output.js';
import { SampleLoop, WatchScreen } from '../kit/screen.js';
import { takesEscapes, terminalWidth } from '../kit/terminal.js';

export interface WatchOptions {
  readonly watch?: true;
  /** Seconds between the starts of two samples. */
  readonly interval?: number;
  readonly count?: number;
  readonly live?: true;
  readonly json?: true;
  readonly strict?: true;
}

const USUAL_SECONDS = 2;

/** @throws {UsageError} for options that require `--watch`, or cannot be combined with it */
export function checkWatch({ watch, interval, count, live }: WatchOptions): void {
  if (!watch && interval !== undefined) throw new UsageError('--interval requires --watch');
  if (!watch && count !== undefined) throw new UsageError('--count requires --watch');
  if (watch && !live) throw new UsageError('--watch requires --live: a dump does not change');
  if (count === 0) throw new UsageError('--count must be at least 1');
}

/**
 * Samples until it is interrupted, or the requested number of times. On a terminal it redraws a table, in a
 * pipe it prints a block of text per sample. With `--json` it prints one JSON object per line, and a last
 * line that marks the end.
 *
 * @param look takes one sample, from the source of the first
 */
export async function watchMemory(
  look: (source: MemoryAnswer['source'] | undefined) => Promise<MemoryAnswer>,
  { interval = USUAL_SECONDS, count = Number.POSITIVE_INFINITY, json, strict }: WatchOptions,
): Promise<void> {
  const again = new SampleLoop();
  const screen = takesEscapes() && !json ? memoryScreen(interval, again.stop) : null;
  const samples = new MemorySamples();
  let source: MemoryAnswer['source'] | undefined;
  try {
    await again.run(interval, count, async () => {
      const answer = await look(source);
      source = answer.source;
      if (strict && !answer.complete) process.exitCode = EXIT.incomplete;
      const sample = samples.next(answer, new Date());
      if (screen) screen.show({ answer, sample: sample });
      else
        printAnswer(
          json ? formatJson(memoryJson({ ...answer, sample: sample })) : watchBlock(answer, sample, terminalWidth()),
        );
    });
    if (json) printAnswer(formatJson(memoryWatchEnd(samples.count, again.interrupted)));
  } finally {
    screen?.end();
  }
}

interface Shown {
  readonly answer: MemoryAnswer;
  readonly sample: MemorySample;
}

/** The live table of `memory --watch`. */
function memoryScreen(interval: number, quit: () => void): WatchScreen<Shown> {
  return new WatchScreen<Shown>({
    waiting: 'scanning …',
    quit,
    frame: ({ answer, sample: look }, view) =>
      watchPageFrame(watchPage(answer, look, view.columns), view, watchWhen(look.number, new Date(look.at), interval)),
  });
}
