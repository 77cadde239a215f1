import { snapshotJson, snapshotText, snapshotWarning } from '../../answers/snapshot/render.js';
import type { SnapshotJson } from '../../answers/snapshot/schema.js';
import { staySmall } from '../../base/collect-garbage.js';
import { formatJson } from '../../base/json.js';
import { OutputFile } from '../../base/output-file.js';
import { checkRoom, roomNeeded } from '../../capture/write/archive.js';
import { type Snapshot, takeSnapshot } from '../../capture/write/snapshot.js';
import { liveSnapshot } from '../../capture/write/source.js';
import { lowerPriority, type Priority, uncache } from '../../capture/write/work.js';
import { EXIT, UsageError } from '../kit/failure.js';
import { printAnswer, printText, printWarnings, STDOUT } from '../kit/output.js';
import { VERSION } from '../kit/version.js';
import type { SnapshotCommandOptions } from './options.js';

/** Takes a snapshot of this machine and prints a summary; with --when, whenever a condition holds. */
export async function takeHere(options: SnapshotCommandOptions): Promise<void> {
  staySmall();
  if (options.when !== undefined) {
    const { waitForSnapshots } = await import('./when.js');
    const priority = lowerPriority();
    return waitForSnapshots(options, (file) => toFile(file, options, priority));
  }
  const file = options.toStdout ? STDOUT : options.output;
  if (file === undefined)
    throw new UsageError('no output file given: use -o FILE.tar.gz or --to-stdout');
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
  if (warning !== undefined && !(options.json && file !== STDOUT))
    printWarnings([{ message: warning }]);
  if (options.strict && !answer.complete) process.exitCode = EXIT.incomplete;
}

const takeWith = (
  { interval, timeout, with: parts = [], anonymize }: SnapshotCommandOptions,
  sink: (bytes: Buffer) => void,
): Promise<Snapshot> =>
  takeSnapshot(liveSnapshot, sink, {
    parts: new Set(parts),
    intervalMs: interval * 1000,
    timeoutSeconds: timeout,
    anonymize: anonymize ?? false,
    program: `kdump-mem ${VERSION}`,
  });

async function toFile(
  file: string,
  options: SnapshotCommandOptions,
  priority: Priority,
): Promise<SnapshotJson> {
  const output = new OutputFile(file, options.force ?? false);
  try {
    checkRoom(file, roomNeeded(liveSnapshot), options.tmpfs ?? false);
    let written = 0;
    const found = await takeWith(options, (bytes) => {
      output.write(written, bytes);
      written += bytes.length;
    });
    output.finish();
    return answerOf(found, file, options, priority, uncache(file));
  } finally {
    output.discard();
  }
}

async function toStdout(options: SnapshotCommandOptions): Promise<Snapshot> {
  if (options.json) throw new UsageError('--json cannot be combined with --to-stdout. Use -o FILE');
  if (process.stdout.isTTY)
    throw new UsageError('stdout is a terminal: redirect the archive to a file or a pipe');
  return takeWith(options, (bytes) => {
    process.stdout.write(bytes);
  });
}

function answerOf(
  found: Snapshot,
  file: string,
  { interval }: SnapshotCommandOptions,
  priority: Priority,
  uncached: boolean,
): SnapshotJson {
  return snapshotJson(found, { file, intervalSeconds: interval, priority, uncached });
}
