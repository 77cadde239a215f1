import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { StoredError, StoredSamples } from '../../answers/growth/stored.js';
import { attempt, HostError } from '../../base/errors.js';
import { inflect } from '../../base/size.js';
import type { GrowthAnswer } from '../../growth/answer.js';
import { ProcessGrowth } from '../../growth/processes.js';
import { SAMPLE_HISTORY } from '../../growth/trend.js';
import { LineCutter } from '../../host/lines.js';
import { liveHost } from '../../host/live.js';
import { type Warning, Warnings } from '../../walk/warnings.js';

/** Number of bytes at the start of a file that contain its first line. */
const HEAD_BYTES = 64 * 1024;

/**
 * Computes growth from samples that `procs --ndjson` stored in these files, ordered by time.
 *
 * @throws {HostError} a file cannot be read, or contains something else
 */
export function growthOfFiles(files: readonly string[]): {
  readonly answer: GrowthAnswer;
  readonly warnings: readonly Warning[];
} {
  const growth = new ProcessGrowth('first', SAMPLE_HISTORY);
  const warnings = new Warnings();
  const inOrder = files.map((file) => ({ file, begins: beginningOf(file) })).sort((a, b) => a.begins - b.begins);
  for (const { file } of inOrder) readFile(file, growth, warnings);
  const answer = growth.answer();
  if (!answer)
    throw new HostError('unreadable', `${files.join(', ')}: no samples`, {
      next: 'Record some: kdump-mem procs --live --ndjson >> FILE.',
    });
  const { notLater, restartedSeries: begunAnew, processes } = answer;
  if (notLater > 0)
    warnings.add(
      'unreadable',
      notLater === 1
        ? '1 sample is ignored: its timestamp is not later than the previous one'
        : `${notLater} samples are ignored: their timestamps are not later than the previous one`,
    );
  if (begunAnew > 0)
    warnings.add(
      'corrupt',
      `start times of processes are inconsistent ${begunAnew === 1 ? 'once' : `${begunAnew} times`}: growth is computed from there on`,
    );
  const unknown = processes.filter(({ heldBytes }) => heldBytes === null).length;
  if (unknown > 0)
    warnings.add('unreadable', `memory of ${unknown} ${inflect(unknown, 'process', 'processes')} is unknown`);
  return { answer, warnings: warnings.list() };
}

function readFile(file: string, growth: ProcessGrowth, warnings: Warnings): void {
  let [lines, number] = [0, 0];
  const wrong = (words: string) =>
    new HostError('unreadable', `${file}:${number}: ${words}`, {
      next: 'Use files that kdump-mem procs --live --ndjson wrote on one machine.',
    });
  const stored = new StoredSamples((look) => {
    if (growth.add(look) === 'mixed') throw wrong('samples of several machines or boots are mixed');
  });
  let [first, last]: (number | undefined)[] = [];
  const cutter = new LineCutter((bytes, from, to) => {
    lines++;
    number = lines + cutter.overlong;
    const torn = stored.torn;
    try {
      stored.line(bytes.toString('utf8', from, to));
    } catch (error) {
      throw error instanceof StoredError ? wrong(error.message) : error;
    }
    if (stored.torn === torn) return;
    first ??= number;
    last = number;
  });
  liveHost.readBytes(file, (bytes) => cutter.push(bytes));
  cutter.end();
  stored.end();
  if (number === 0) warnings.add('unreadable', `${file} is empty`);
  const torn = stored.torn + cutter.overlong;
  if (torn > 0) {
    const where = torn === 1 && last === number ? 'the last line is' : `${torn} of the lines are`;
    warnings.add('unreadable', `${file}:${first ?? number}: ${where} truncated, and ignored`);
  }
  if (stored.cut > 0)
    warnings.add(
      'unreadable',
      `${file}: ${stored.cut === 1 ? '1 sample is' : `${stored.cut} samples are`} incomplete: sums and exited processes are unknown there`,
    );
  if (stored.partial > 0)
    warnings.add(
      'unreadable',
      `${file}: ${stored.partial === 1 ? '1 sample lacks' : `${stored.partial} samples lack`} some processes (--pid, --container or hidepid): sums and exited processes are unknown there`,
    );
}

/** Returns the time of a file's first sample; an invalid file is reported later, when it is read. */
function beginningOf(file: string): number {
  if (file === '-') throw refused('-: stdin is not supported');
  if (!attemptFile(file, () => statSync(file)).isFile()) throw refused(`${file}: not a regular file`);
  const head = attemptFile(file, () => {
    const fd = openSync(file, 'r');
    try {
      const bytes = Buffer.alloc(HEAD_BYTES);
      return bytes.toString('utf8', 0, readSync(fd, bytes));
    } finally {
      closeSync(fd);
    }
  });
  let begins = Number.NaN;
  const stored = new StoredSamples(({ machine }) => {
    begins = Date.parse(machine.at);
  });
  try {
    stored.line(head.split('\n', 1)[0] ?? '');
    stored.end();
  } catch {
    // Reading the complete file reports where and why.
  }
  return Number.isNaN(begins) ? 0 : begins;
}

function attemptFile<T>(file: string, read: () => T): T {
  try {
    return attempt(file, read);
  } catch (error) {
    throw error instanceof HostError ? refused(error.message) : error;
  }
}

function refused(message: string): HostError {
  return new HostError('unreadable', message, { next: 'Check the path.' });
}
