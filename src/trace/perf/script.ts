import { statSync } from 'node:fs';
import { LineCutter } from '../../host/ss/lines.js';
import { TraceError } from '../error.js';
import { startPerf, Words } from './run.js';
import type { EventNames, Sample } from './sample.js';
import { SCRIPT_FIELDS, ScriptParser } from './script-parser.js';

/** What could not be taken from a recording. */
export interface Losses {
  /** Records that the kernel had no room for, by what perf says: of any kind. */
  readonly lost: number;
  /** Lines of `perf script` of no known form. */
  readonly strange: number;
}

/**
 * Reads what was recorded, through `perf script`, which unwinds stacks and knows symbols. Inlined functions
 * are not asked for: that takes perf a thousand times as long.
 *
 * @param stop ends it
 * @throws {TraceError} `perf-failed`
 */
export async function readRecording(
  file: string,
  names: EventNames,
  onSample: (sample: Sample) => void,
  stop: AbortSignal,
): Promise<Losses> {
  if (statSync(file, { throwIfNoEntry: false }) === undefined)
    throw new TraceError('perf-failed', 'perf record wrote no file');
  const parser = new ScriptParser(names, onSample);
  const perf = startPerf(
    [
      ...['script', '--input', file, '--no-inline', '--show-lost-events'],
      ...['--fields', SCRIPT_FIELDS, '--force'],
    ],
    { stop },
  );
  const words = new Words(perf.stderr);
  const cutter = new LineCutter((bytes, from, to) => parser.line(bytes.toString('utf8', from, to)));
  perf.stdout?.on('data', (bytes: Buffer) => cutter.push(bytes));
  const { failed } = await perf.ended;
  cutter.end();
  parser.end();
  if (failed) throw new TraceError('perf-failed', `perf script: ${words.reason}`);
  const lost = Math.max(parser.lostRecords, parser.lostSamples);
  return { lost, strange: parser.strange + cutter.overlong };
}
