import { join } from 'node:path';
import {
  limitOf,
  reasonJson,
  reasonWords,
  snapshotText,
  snapshotWarning,
  waitingWords,
} from '../../answers/snapshot/render.js';
import type { SnapshotDueJson, SnapshotJson } from '../../answers/snapshot/schema.js';
import { escapeText } from '../../answers/text/escape.js';
import { exhaustionOf, KdumpMemError } from '../../base/errors.js';
import { formatJson } from '../../base/json.js';
import {
  nameOf,
  removeAbandoned,
  removeOldest,
  snapshotsIn,
} from '../../capture/write/when/stored.js';
import { type Reason, readConditions, SnapshotTrigger } from '../../capture/write/when/trigger.js';
import type { HostSource } from '../../host/host-source.js';
import { liveHost } from '../../host/live.js';
import { optionalText } from '../../host/proc/process.js';
import { EXIT } from '../kit/failure.js';
import { printAnswer, printText, printWarnings } from '../kit/output.js';
import { SampleLoop } from '../kit/screen.js';
import type { SnapshotCommandOptions } from './options.js';

/** Writes a snapshot to the file and returns its summary. */
type Take = (file: string) => Promise<SnapshotJson>;

/**
 * Takes a snapshot whenever a condition holds, until it is interrupted or `count` is reached. A failed
 * snapshot or sample is reported, and the loop continues.
 *
 * @throws {HostError} a condition is not available on this host; {@link OutputError} the directory does not
 * exist
 */
export async function waitForSnapshots(options: SnapshotCommandOptions, take: Take): Promise<void> {
  const { when = [], into = '', keep = 8, apart = 600, every = 1, json, strict } = options;
  const { count = Number.POSITIVE_INFINITY } = options;
  const trigger = new SnapshotTrigger(apart * 1000, snapshotsIn(into).at(-1)?.at);
  const adj = optionalText(liveHost, '/proc/self/oom_score_adj').trim();
  const waiting = waitingWords(readConditions(liveHost, when), { into, keep, apart }, adj);
  removeAbandoned(into, Date.now());
  const again = new SampleLoop();
  let [snapshots, failed] = [0, 0];
  const warning = new WarnOnce();
  await again.run(every, Number.POSITIVE_INFINITY, async () => {
    // From here on, signals stop the loop cleanly.
    if (again.count === 1) process.stderr.write(`kdump-mem: ${waiting}\n`);
    const due = dueNow(liveHost, trigger, when, warning);
    if (due.length === 0) return;
    const at = new Date();
    const kinds = due.map(({ condition }) => condition.kind);
    const name = nameOf(at, kinds);
    const result = await tryTake(join(into, name), take, again);
    // Interrupted: the partial file is removed.
    if (result === null) return;
    if ('failed' in result) failed++;
    else {
      snapshots++;
      trigger.snapshotTaken();
    }
    const removed = 'failed' in result ? [] : removeOld(into, keep, name);
    if (strict && !('failed' in result) && !result.complete) process.exitCode = EXIT.incomplete;
    print({ at, due, result, removed }, json ?? false);
    if (snapshots + failed >= count) again.stop();
  });
  if (json) printAnswer(formatJson({ schema: 'kdump-mem.snapshot-due-end/1', snapshots, failed }));
  if (failed > 0) process.exitCode = EXIT.unreadable;
}

function dueNow(
  source: HostSource,
  trigger: SnapshotTrigger,
  when: NonNullable<SnapshotCommandOptions['when']>,
  warning: WarnOnce,
): Reason[] {
  try {
    const readings = readConditions(source, when);
    warning.clear();
    return trigger.due(readings, Date.now());
  } catch (error) {
    warning.print(wordsOf(error));
    return [];
  }
}

async function tryTake(
  file: string,
  take: Take,
  again: SampleLoop,
): Promise<SnapshotJson | Failed | null> {
  try {
    return await take(file);
  } catch (error) {
    return again.interrupted ? null : failedBy(error);
  }
}

function removeOld(folder: string, keep: number, taken: string): string[] {
  try {
    return removeOldest(folder, keep, taken);
  } catch (error) {
    printWarnings([{ message: wordsOf(error) }]);
    return [];
  }
}

/** Returns the message of an expected error; rethrows others. */
function wordsOf(error: unknown): string {
  const words = error instanceof KdumpMemError ? error.message : exhaustionOf(error);
  if (words === undefined) throw error;
  return words;
}

/** A failed snapshot: message and error code, null if it has none. */
interface Failed {
  readonly failed: string;
  readonly code: string | null;
}
const NOT_FAILED = { failed: null, code: null };

function failedBy(error: unknown): Failed {
  return { failed: wordsOf(error), code: error instanceof KdumpMemError ? error.code : null };
}

interface Due {
  readonly at: Date;
  readonly due: readonly Reason[];
  readonly result: SnapshotJson | Failed;
  readonly removed: readonly string[];
}

function print({ at, due, result, removed }: Due, json: boolean): void {
  const { failed, code: failedCode } = 'failed' in result ? result : NOT_FAILED;
  const snapshot = 'failed' in result ? null : result;
  if (json) {
    const line: SnapshotDueJson = {
      schema: 'kdump-mem.snapshot-due/1',
      at: at.toISOString(),
      reasons: due.map((reason) => reasonJson(reason, limitOf(reason))),
      snapshot,
      failed,
      failedCode,
      removed: [...removed],
    };
    printAnswer(formatJson(line));
    return;
  }
  const why = due.map(reasonWords).join('; ');
  printText(`${at.toISOString()} ${why}${snapshot ? `\n${snapshotText(snapshot)}` : ''}`);
  const warning = snapshot ? snapshotWarning(snapshot) : `snapshot failed: ${failed}`;
  if (warning !== undefined) printWarnings([{ message: warning }]);
}

/** Prints a warning unless it equals the previous one. */
class WarnOnce {
  #last: string | undefined;

  print(words: string): void {
    if (words === this.#last) return;
    this.#last = words;
    process.stderr.write(`kdump-mem: warning: ${escapeText(words)}; retrying\n`);
  }

  clear(): void {
    this.#last = undefined;
  }
}
