import { setTimeout as delay } from 'node:timers/promises';
import type { MemoryAnswer } from '../account/memory/answer.js';
import { Looks } from '../account/memory/changes.js';
import { formatJson } from '../json.js';
import { memoryJson, memoryWatchEnd } from '../report/memory/json.js';
import { watchBlock } from '../report/memory/watch.js';
import { EXIT, UsageError } from './failure.js';
import { MemoryScreen } from './memory-screen.js';
import { printAnswer } from './output.js';

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
  if (!watch && interval !== undefined) throw new UsageError('--interval is for --watch');
  if (!watch && count !== undefined) throw new UsageError('--count is for --watch');
  if (watch && !live) throw new UsageError('--watch is for --live: a dump does not change');
  if (count === 0) throw new UsageError('--count takes 1 or more');
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
  const stopped = new AbortController();
  const stop = () => stopped.abort();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, stop);
  const screen = process.stdout.isTTY && !json ? new MemoryScreen(interval, stop) : null;
  const looks = new Looks();
  let source: MemoryAnswer['source'] | undefined;
  try {
    while (looks.count < count && !stopped.signal.aborted) {
      const begun = performance.now();
      const answer = await look(source);
      source = answer.source;
      if (strict && !answer.complete) process.exitCode = EXIT.incomplete;
      const one = looks.next(answer, new Date());
      if (screen) screen.show(answer, one);
      else
        printAnswer(
          json ? formatJson(memoryJson({ ...answer, look: one })) : watchBlock(answer, one),
        );
      if (looks.count < count)
        await rest(1000 * interval - (performance.now() - begun), stopped.signal);
    }
    if (json) printAnswer(formatJson(memoryWatchEnd(looks.count, stopped.signal.aborted)));
  } finally {
    screen?.end();
    for (const signal of signals) process.off(signal, stop);
  }
}

/** Lets time pass, and keys and signals be noticed, until it is over or we are told to stop. */
async function rest(milliseconds: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(Math.max(0, milliseconds), undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
