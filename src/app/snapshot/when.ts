import { join } from 'node:path';
import type { SnapshotJson } from '../../answers/snapshot/schema.js';
import { snapshotText, snapshotWarning } from '../../answers/snapshot/text.js';
import { limitOf, reasonJson, reasonWords, waitingWords } from '../../answers/snapshot/when.js';
import type { SnapshotDueJson } from '../../answers/snapshot/when-schema.js';
import { escapeText } from '../../answers/text/escape.js';
import { KdumpMemError } from '../../base/error.js';
import { exhaustionOf } from '../../base/exhaustion.js';
import { formatJson } from '../../base/json.js';
import { keptIn, nameOf, removeAbandoned, removeOldest } from '../../capture/write/when/kept.js';
import { lookAt } from '../../capture/write/when/look.js';
import { type Reason, Watchman } from '../../capture/write/when/watchman.js';
import type { HostSource } from '../../host/host-source.js';
import { liveHost } from '../../host/live.js';
import { optionalText } from '../../host/proc/process.js';
import { EXIT } from '../kit/failure.js';
import { printAnswer, printWarnings } from '../kit/output.js';
import { LooksAgain } from '../kit/sampling.js';
import type { SnapshotCommandOptions } from './options.js';

/** Writes a snapshot, and says what is in it. */
type Take = (file: string) => Promise<SnapshotJson>;

/**
 * Waits as a service, and takes a snapshot whenever it is time, until it is told to end or has taken as many
 * as were asked. One that cannot be taken or a look that fails is told, and it goes on.
 *
 * @throws {HostError} the host does not tell what is waited for; {@link OutputError} there is no such folder
 */
export async function waitForSnapshots(options: SnapshotCommandOptions, take: Take): Promise<void> {
  const { when = [], into = '', keep = 8, apart = 600, every = 1, json, strict } = options;
  const { count = Number.POSITIVE_INFINITY } = options;
  const watchman = new Watchman(apart * 1000, keptIn(into).at(-1)?.at);
  const adj = optionalText(liveHost, '/proc/self/oom_score_adj').trim();
  const waiting = waitingWords(lookAt(liveHost, when), { into, keep, apart }, adj);
  removeAbandoned(into, Date.now());
  const again = new LooksAgain();
  let [taken, failed] = [0, 0];
  const lookFailures = new Told();
  await again.run(every, Number.POSITIVE_INFINITY, async () => {
    // From here on signals end it in order.
    if (again.count === 1) process.stderr.write(`kdump-mem: ${waiting}\n`);
    const due = dueNow(liveHost, watchman, when, lookFailures);
    if (due.length === 0) return;
    const at = new Date();
    const kinds = due.map(({ condition }) => condition.kind);
    const name = nameOf(at, kinds);
    const told = await tryTake(join(into, name), take, again);
    // It was told to end: what was begun is removed.
    if (told === null) return;
    if ('failed' in told) failed++;
    else {
      taken++;
      watchman.took();
    }
    const removed = 'failed' in told ? [] : removeOld(into, keep, name);
    if (strict && !('failed' in told) && !told.complete) process.exitCode = EXIT.incomplete;
    print({ at, due, told, removed }, json ?? false);
    if (taken + failed >= count) again.stop();
  });
  if (json) printAnswer(formatJson({ schema: 'kdump-mem.snapshot-due-end/1', taken, failed }));
  if (failed > 0) process.exitCode = EXIT.unreadable;
}

function dueNow(
  source: HostSource,
  watchman: Watchman,
  when: NonNullable<SnapshotCommandOptions['when']>,
  failures: Told,
): Reason[] {
  try {
    const found = lookAt(source, when);
    failures.over();
    return watchman.due(found, Date.now());
  } catch (error) {
    failures.tell(wordsOf(error));
    return [];
  }
}

async function tryTake(
  file: string,
  take: Take,
  again: LooksAgain,
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

/** Of an error that a user should see; what is a bug of ours is thrown on. */
function wordsOf(error: unknown): string {
  const words = error instanceof KdumpMemError ? error.message : exhaustionOf(error);
  if (words === undefined) throw error;
  return words;
}

/** It could not be taken: words, and the code of what went wrong, or null where that has none. */
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
  readonly told: SnapshotJson | Failed;
  readonly removed: readonly string[];
}

function print({ at, due, told, removed }: Due, json: boolean): void {
  const { failed, code: failedCode } = 'failed' in told ? told : NOT_FAILED;
  const snapshot = 'failed' in told ? null : told;
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
  printAnswer(`${at.toISOString()} ${why}${snapshot ? `\n${snapshotText(snapshot)}` : ''}`);
  const warning = snapshot ? snapshotWarning(snapshot) : `no snapshot was taken: ${failed}`;
  if (warning !== undefined) printWarnings([{ message: warning }]);
}

/** Says once what goes wrong again and again. */
class Told {
  #last: string | undefined;

  tell(words: string): void {
    if (words === this.#last) return;
    this.#last = words;
    process.stderr.write(`kdump-mem: warning: ${escapeText(words)}; it looks again\n`);
  }

  over(): void {
    this.#last = undefined;
  }
}
