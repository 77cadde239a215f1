import { snapshotJson } from '../../answers/snapshot/json.js';
import type { SnapshotJson } from '../../answers/snapshot/schema.js';
import { snapshotText, snapshotWarning } from '../../answers/snapshot/text.js';
import { staySmall } from '../../base/collect-garbage.js';
import { formatJson } from '../../base/json.js';
import { OutputFile } from '../../base/output-file.js';
import { beGentle, uncache } from '../../capture/write/gentle.js';
import { checkRoom, roomNeeded } from '../../capture/write/room.js';
import { type Snapshot, takeSnapshot } from '../../capture/write/snapshot.js';
import { liveSnapshot } from '../../capture/write/source.js';
import { EXIT, UsageError } from '../kit/failure.js';
import { printAnswer, printWarnings, STDOUT } from '../kit/output.js';
import { VERSION } from '../kit/version.js';
import type { SnapshotCommandOptions } from './options.js';

/** Takes a snapshot of this machine, and says what is in it; with --when as often as it is time. */
export async function takeHere(options: SnapshotCommandOptions): Promise<void> {
  staySmall();
  if (options.when !== undefined) {
    const { waitForSnapshots } = await import('./when.js');
    const gentle = beGentle();
    return waitForSnapshots(options, (file) => toFile(file, options, gentle));
  }
  const file = options.toStdout ? STDOUT : options.output;
  if (file === undefined)
    throw new UsageError('say where to write it: -o FILE.tar.gz, or --to-stdout');
  const gentle = beGentle();
  const said =
    file === STDOUT
      ? tell(await toStdout(options), STDOUT, options, { ...gentle, uncached: false })
      : await toFile(file, options, gentle);
  if (file !== STDOUT) printAnswer(options.json ? formatJson(said, 2) : snapshotText(said));
  const warning = snapshotWarning(said);
  if (warning !== undefined && !(options.json && file !== STDOUT))
    printWarnings([{ message: warning }]);
  if (options.strict && !said.complete) process.exitCode = EXIT.incomplete;
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
  gentle: ReturnType<typeof beGentle>,
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
    return tell(found, file, options, { ...gentle, uncached: uncache(file) });
  } finally {
    output.discard();
  }
}

async function toStdout(options: SnapshotCommandOptions): Promise<Snapshot> {
  if (options.json)
    throw new UsageError('the archive goes to stdout: --json has no place there. Use -o FILE');
  if (process.stdout.isTTY)
    throw new UsageError('an archive is nothing for a terminal: send stdout into a file or a pipe');
  return takeWith(options, (bytes) => {
    process.stdout.write(bytes);
  });
}

function tell(
  found: Snapshot,
  file: string,
  { interval }: SnapshotCommandOptions,
  gentle: ReturnType<typeof beGentle> & { uncached: boolean },
): SnapshotJson {
  return snapshotJson(found, { file, intervalSeconds: interval, gentle });
}
