import { join } from 'node:path';
import {
  limitOf,
  reasonJson,
  reasonWords,
  snapshotJson,
  snapshotText,
  snapshotWarning,
  waitingWords,
} from '../../answers/snapshot/render.js';
import { staySmall } from '../../base/collect-garbage.js';
import { exhaustionOf, KdumpMemError } from '../../base/errors.js';
import { escapeText } from '../../base/escape.js';
import { OutputFile } from '../../base/output-file.js';
import { formatJson } from '../../base/util.js';
import { checkRoom, roomNeeded } from '../../capture/write/archive.js';
import { type Snapshot, takeSnapshot } from '../../capture/write/snapshot.js';
import { liveSnapshot } from '../../capture/write/source.js';
import {
  nameOf,
  type Reason,
  readConditions,
  removeAbandoned,
  removeOldest,
  SnapshotTrigger,
  snapshotsIn,
} from '../../capture/write/when/trigger.js';
import { lowerPriority, type Priority, uncache } from '../../capture/write/work.js';
import type { SnapshotDueJson, SnapshotJson } from '../../contracts/snapshot.js';
import type { HostSource } from '../../host/host-source.js';
import { liveHost } from '../../host/live.js';
import { optionalText } from '../../host/proc/process.js';
import { EXIT, UsageError } from '../kit/failure.js';
import { printAnswer, printText, printWarnings, STDOUT } from '../kit/output.js';
import { SampleLoop } from '../kit/screen.js';
import { VERSION } from '../kit/version.js';
import type { SnapshotCommandOptions } from './options.js';

/** Takes a snapshot of this machine and prints a summary; with --when, whenever a condition holds. */
export async function takeHere(options: SnapshotCommandOptions): Promise<void> {
  staySmall();
  if (options.when !== undefined) {
    const priority = lowerPriority();
    return waitForSnapshots(options, (file) => toFile(file, options, priority));
  }
  const file = options.toStdout ? STDOUT : options.output;
  if (file === undefined) throw new UsageError('no output file given: use -o FILE.tar.gz or --to-stdout');
  const priority = lowerPriority();
  const answer =
    file === STDOUT
      ? answerOf(await toStdout(options), STDOUT, options, priority, false)
      : await toFile(file, options, priority);
  if (file !== STDOUT) {
    if (options.json) printAnswer(formatJson(answer, 2));
    else printText(snapshotText(answer));
  }
  const warning = snapshotWarning(answer);
  if (warning !== undefined && !(options.json && file !== STDOUT)) printWarnings([{ message: warning }]);
  if (options.strict && !answer.complete) process.exitCode = EXIT.incomplete;
}

const takeWith = (
  { interval, timeout, with: parts = [], anonymize, pss }: SnapshotCommandOptions,
  sink: (bytes: Buffer) => void,
): Promise<Snapshot> =>
  takeSnapshot(liveSnapshot, sink, {
    parts: new Set(parts),
    intervalMs: interval * 1000,
    timeoutSeconds: timeout,
    anonymize: anonymize ?? false,
    ...(pss ? { pss } : {}),
    program: `kdump-mem ${VERSION}`,
  });

async function toFile(file: string, options: SnapshotCommandOptions, priority: Priority): Promise<SnapshotJson> {
  const output = new OutputFile(file, options.force ?? false);
  try {
    checkRoom(file, roomNeeded(liveSnapshot), options.tmpfs ?? false);
    let written = 0;
    const snapshot = await takeWith(options, (bytes) => {
      output.write(written, bytes);
      written += bytes.length;
    });
    output.finish();
    return answerOf(snapshot, file, options, priority, uncache(file));
  } finally {
    output.discard();
  }
}

async function toStdout(options: SnapshotCommandOptions): Promise<Snapshot> {
  if (options.json) throw new UsageError('--json cannot be combined with --to-stdout. Use -o FILE');
  if (process.stdout.isTTY) throw new UsageError('stdout is a terminal: redirect the archive to a file or a pipe');
  return takeWith(options, (bytes) => {
    process.stdout.write(bytes);
  });
}

function answerOf(
  snapshot: Snapshot,
  file: string,
  { interval }: SnapshotCommandOptions,
  priority: Priority,
  uncached: boolean,
): SnapshotJson {
  return snapshotJson(snapshot, { file, intervalSeconds: interval, priority, uncached });
}

/** Writes a snapshot to the file and returns its summary. */
type Take = (file: string) => Promise<SnapshotJson>;

/**
 * Takes a snapshot whenever a condition holds, until it is interrupted or `count` is reached. A failed
 * snapshot or sample is reported, and the loop continues.
 *
 * @throws {HostError} a condition is not available on this host; {@link OutputError} the directory does not
 * exist
 */
async function waitForSnapshots(options: SnapshotCommandOptions, take: Take): Promise<void> {
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

async function tryTake(file: string, take: Take, again: SampleLoop): Promise<SnapshotJson | Failed | null> {
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
