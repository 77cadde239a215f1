import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { AnswersError, stateOfAnswers } from '../../answers/diff/read/answers.js';
import { attempt as attemptAt, HostError, isHostError } from '../../base/errors.js';
import { shellPath } from '../../base/shell.js';
import type { HostState } from '../../diff/state.js';
import { compressionOf, isTar, looksCaptured } from '../../host/recognise.js';
import { UsageError } from '../kit/failure.js';

/** Maximum size of a file with answers: twice the size for a host with 50,000 sockets. */
const MAX_BYTES = 256 * 1024 * 1024;

/**
 * Reads the states of all inputs: files with answers, captures, dumps.
 *
 * @throws {UsageError} an input is given twice; {@link HostError}, {@link KernelError}: an input cannot be
 * read
 */
export async function readInputs(paths: readonly string[]): Promise<HostState[]> {
  refuseSame(paths);
  const states: HostState[] = [];
  for (const path of paths) states.push(await readInput(path));
  return states;
}

/** Reads the state of one input. @throws as readInputs */
export async function readInput(path: string): Promise<HostState> {
  try {
    switch (kindOf(path)) {
      case 'answers':
        return stateOfAnswers(path, textOf(path));
      case 'capture': {
        const { queryCapture } = await import('./parts.js');
        return await queryCapture(path);
      }
      case 'dump': {
        const { queryDump } = await import('./parts.js');
        return await queryDump(path);
      }
    }
  } catch (error) {
    // There may be several archives, so the message must name this one.
    if (isHostError(error) && !error.message.includes(path))
      throw new HostError(error.code, `${path}: ${error.message}`, {
        cause: error,
        ...(error.next === undefined ? {} : { next: error.next }),
      });
    if (!(error instanceof AnswersError)) throw error;
    throw new HostError('unreadable', `${path}: ${error.message}`, {
      next: 'Pass snapshots, dumps, or --json answers of memory, procs, sockets or skcheck.',
    });
  }
}

/** The option by which other commands read an input; undefined: they cannot. */
export function sourceOption(path: string): string | undefined {
  const kind = kindOf(path);
  return kind === 'answers' ? undefined : `--${kind === 'capture' ? 'from' : 'vmcore'} ${shellPath(path)}`;
}

/** Detects the kind of an input by its first bytes: anything except JSON and archives is a dump. */
function kindOf(path: string): 'answers' | 'capture' | 'dump' {
  if (path === '') throw new UsageError('empty file name');
  const stat = attempt(path, () => statSync(path));
  if (stat.isDirectory()) {
    const names = attempt(path, () => readdirSync(path));
    const isDump = names.some((name) => /vmcore/.test(name)) && !existsSync(join(path, 'version'));
    return isDump ? 'dump' : 'capture';
  }
  if (!stat.isFile()) throw new HostError('unreadable', `${path}: not a regular file`, { next: 'Check the path.' });
  const head = headOf(path);
  // Some editors and shells write a byte order mark at the start of a text.
  if (/^(?:\xef\xbb\xbf)?\s*\{/.test(head.toString('latin1')) || stat.size === 0) return 'answers';
  // A compressed dump is a dump; archives are named as such, or begin with the folder of a capture.
  const isArchive = isTar(head) || (compressionOf(head) !== null && (ARCHIVE.test(path) || looksCaptured(path)));
  return isArchive ? 'capture' : 'dump';
}

const ARCHIVE = /\.(?:t[gx]z|tbz2?|tar\.\w+)$/;
const HEAD_BYTES = 512;

/** The first bytes of a file. @throws {HostError} */
export function headOf(path: string): Buffer {
  return attempt(path, () => {
    const fd = openSync(path, 'r');
    try {
      const bytes = Buffer.alloc(HEAD_BYTES);
      return bytes.subarray(0, readSync(fd, bytes));
    } finally {
      closeSync(fd);
    }
  });
}

function textOf(path: string): string {
  if (attempt(path, () => statSync(path).size) > MAX_BYTES) throw new AnswersError(`larger than ${MAX_BYTES} bytes`);
  return attempt(path, () => readFileSync(path, 'utf8')).replace(/^\ufeff/, '');
}

/** Rejects duplicate inputs: a file compared with itself would show no change. */
function refuseSame(paths: readonly string[]): void {
  const seen = new Map<string, string>();
  for (const path of paths) {
    if (path === '') continue;
    const { dev, ino } = attempt(path, () => statSync(path));
    const other = seen.get(`${dev} ${ino}`);
    if (other !== undefined)
      throw new UsageError(
        `${other === path ? `${path} is given twice` : `${other} and ${path} are the same file`}: nothing to compare`,
      );
    seen.set(`${dev} ${ino}`, path);
  }
}

/** @throws {HostError} the file does not exist or is not readable */
function attempt<T>(path: string, read: () => T): T {
  try {
    return attemptAt(path, read);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    throw new HostError(error.code, error.message, { next: 'Check the path.' });
  }
}
