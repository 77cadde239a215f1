import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  lchownSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  type Stats,
  statSync,
  utimesSync,
} from 'node:fs';
import { uptime } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { PageFacts } from '../../answers/html/page.js';
import { triageHtml } from '../../answers/triage/html/page.js';
import { triageJson } from '../../answers/triage/json.js';
import { triageText } from '../../answers/triage/text.js';
import { errorCode } from '../../base/errors.js';
import { escapeText } from '../../base/escape.js';
import { OutputError, OutputFile } from '../../base/output-file.js';
import { shellPath } from '../../base/shell.js';
import { formatJson } from '../../base/util.js';
import type { SummaryJson, TriageLineJson } from '../../contracts/triage-line.js';
import { endGroup, startGroup } from '../../host/child.js';
import type { TriageAnswer } from '../../triage/answer.js';
import type { LineOutput } from '../../triage/batch/output.js';
import type { Found, FoundDump } from '../../triage/batch/search.js';
import { WORKER_FAILURE_CODES } from '../../triage/batch/worker.js';
import type { TriageDetail } from '../../triage/finding.js';
import { printText, warningLines } from '../kit/output.js';
import { VERSION } from '../kit/version.js';
import type { ManyTriageOptions } from './options.js';

/** What to write beside dumps. */
export type BesideOptions = Pick<ManyTriageOptions, 'anonymize' | 'keep' | 'keepBytes' | 'notify' | 'settle'>;

/** Why there is no extract. `mayFit`: a later run may be able to write one. */
export interface NoExtract {
  readonly why: string;
  readonly mayFit: boolean;
}

/** Output of a worker. */
export type WorkerSummary = SummaryJson & { readonly noExtract?: NoExtract };

/** A file that changed more recently may still be written: by a copy, or, with this name, by kdump. */
const SETTLED_MS = 30_000;
const INCOMPLETE = /-incomplete$/;
const INCOMPLETE_MS = 3_600_000;
const NOTIFY_MS = 60_000;

/** The answer that is written last. It has the time of the dump that was read: a copy over it has another, newer or older. */
const LAST = 'json';
/** Bytes of a JSON with a reason alone. */
const MAX_REASON = 64 * 2 ** 10;

/** Names that kdump gives to the only dump of a folder, and names of logs without a dump. Other dumps share one. */
const ALONE = /^(?:(?:vmcore|kexec-dmesg|dump\.\d{8,14})(?:[.-]|$)|console-|dmesg(?:-|\.txt$))/;

/** Bytes of a dump's name in those of its answers: a name has at most 255 (NAME_MAX), and a partial file 40 more. */
const MAX_NAME = 200;

/** Returns the path of the answers of a dump, without their suffix. */
function prefixOf({ dump }: FoundDump): string {
  const name = basename(dump);
  return join(dirname(dump), ALONE.test(name) ? 'kdump-mem' : `${shortened(name)}.kdump-mem`);
}

function shortened(name: string): string {
  const bytes = Buffer.from(name);
  if (bytes.length <= MAX_NAME) return name;
  const sum = createHash('sha256').update(bytes).digest('hex').slice(0, 12);
  return `${bytes.toString('latin1', 0, MAX_NAME - 13).replaceAll(/[^ -~]/g, '_')}-${sum}`;
}

/** Whether a dump changed a moment ago. The clock of the capture kernel may have been wrong. */
export function isFresh({ mtime = 0 }: FoundDump, now = Date.now()): boolean {
  return Math.abs(now - mtime) < SETTLED_MS;
}

/** Whether a dump has its answers, or is not complete yet. */
export function isAnswered(dump: FoundDump, now = Date.now()): boolean {
  const { mtime = 0 } = dump;
  // A file of the future is not being written.
  if (isFresh(dump, now) || (INCOMPLETE.test(dump.dump) && Math.abs(now - mtime) < INCOMPLETE_MS)) return true;
  const path = `${prefixOf(dump)}.${LAST}`;
  const last = statOf(path);
  return last !== undefined && timeOf(last) === mtime && !isReasonOfAnother(path, last);
}

/** Milliseconds since 1970, as far as a file system keeps them. */
function timeOf({ mtimeMs }: Stats): number {
  return Math.round(mtimeMs);
}

/** Whether another version of this program could not read the dump: this one may. */
function isReasonOfAnother(path: string, stat: Stats): boolean {
  if (!stat.isFile() || stat.size > MAX_REASON) return false;
  try {
    const { error, version } = JSON.parse(readFileSync(path, 'utf8')) as { error?: unknown; version?: unknown };
    return Boolean(error) && version !== VERSION;
  } catch {
    // Not ours, or not readable for us.
    return false;
  }
}

/** Undefined: it cannot be read, or was removed meanwhile. A write in its place reports why. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

/** Removes files that a run before this boot began to write and did not finish. */
function removePartial(prefix: string): void {
  const boot = Date.now() - uptime() * 1000;
  const begin = `.${basename(prefix)}.`;
  for (const name of namesIn(dirname(prefix))) {
    if (!name.startsWith(begin) || !/\.(?:txt|html|json|extract)\.[0-9a-f]{12}\.partial$/.test(name)) continue;
    const path = join(dirname(prefix), name);
    if ((lstatSync(path, { throwIfNoEntry: false })?.mtimeMs ?? boot) < boot) rmSync(path, { force: true });
  }
}

/** Empty: the folder was removed meanwhile, or cannot be listed. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/**
 * Writes an extract and the answers of one dump beside it. The JSON is written last, so an interrupted run is repeated.
 *
 * @param read reads the dump in a worker process, with more words for its command line
 * @param onProblem receives what could not be written
 */
export async function writeBeside(
  dump: FoundDump,
  options: BesideOptions,
  read: (words: readonly string[]) => Promise<WorkerSummary>,
  onProblem: (message: string) => void,
): Promise<SummaryJson> {
  const prefix = prefixOf(dump);
  const last = `${prefix}.${LAST}`;
  const before = statOf(last);
  const isRepeated = before !== undefined && timeOf(before) === repeatedBefore(dump);
  removePartial(prefix);
  const words = ['--beside-prefix', prefix, ...(options.anonymize ? ['--anonymize'] : [])];
  // One process does both, so that a compressed dump is unpacked once.
  const { noExtract, ...both } = await read([...words, '--beside-extract']);
  // A process that was ended needs less time and memory without an extract.
  const ended = WORKER_FAILURE_CODES.find((code) => code === both.error?.code);
  const isEnded = ended !== undefined;
  const why = isEnded ? both.error?.message : noExtract?.why;
  const answer = isEnded ? await read(words) : both;
  if (why !== undefined && answer.ok) onProblem(`${dump.dump}: no extract (${why})`);
  const { code, message } = answer.error ?? { code: '', message: 'unknown' };
  if (answer.findings === null) {
    // Repeated by the next run.
    if (PASSING.includes(code)) {
      onProblem(message);
      return answer;
    }
    try {
      const owner = ownerOf(dump.dump);
      write(`${prefix}.txt`, `${escapeText(message)}\n`, owner);
      write(last, formatJson({ ...answer, version: VERSION }, 2), owner);
    } catch (error) {
      if (!(error instanceof OutputError)) throw error;
      onProblem(error.message);
      return answer;
    }
  }
  const isTriedAgain = noExtract?.mayFit === true || (TWICE.includes(code) && !isRepeated);
  const failure = setTime(last, isTriedAgain ? repeatedBefore(dump) : (dump.mtime ?? 0));
  if (failure !== undefined) onProblem(failure);
  if (options.notify !== undefined && !isRepeated) {
    const problem = await notified(options.notify, `${prefix}.txt`);
    if (problem !== undefined) onProblem(problem);
  }
  return answer;
}

/** Writes the answers of a dump that was read. @throws {OutputError} */
export function writeAnswers(
  prefix: string,
  answer: TriageAnswer,
  vmcore: readonly string[],
  detail: TriageDetail | undefined,
): void {
  const source = vmcore.map((file) => `${answer.logs ? '' : '--vmcore '}${shellPath(file)}`).join(' ');
  const facts: PageFacts = { source, version: VERSION, made: new Date() };
  const text = triageText(answer, { width: null, source });
  const owner = ownerOf(vmcore[0]!);
  write(`${prefix}.txt`, [text, ...warningLines(answer.warnings)].join('\n'), owner);
  write(`${prefix}.html`, `${triageHtml(answer, detail, facts)}\n`, owner);
  try {
    // In the folder of another user, the name may be a link to something else by now.
    if (owner) lchownSync(`${prefix}.extract`, owner.uid, owner.gid);
  } catch {
    // There is none, or it keeps the owner of this process.
  }
  write(`${prefix}.${LAST}`, formatJson(triageJson(answer), 2), owner);
}

function write(path: string, text: string, owner: Owner | undefined): void {
  const file = new OutputFile(path, true);
  try {
    file.write(0, Buffer.from(text.endsWith('\n') ? text : `${text}\n`));
    // Before it has its name: after a power failure, no run would come back to it.
    if (owner) file.giveTo(owner);
    file.finish();
  } finally {
    file.discard();
  }
}

/** Why a dump has no answer now, and may have one later. */
const PASSING: readonly string[] = ['cannot-write', 'permission', 'exhausted'];

/** What may have been the machine's fault, such as the OOM killer, or the dump's: a second run decides. */
const TWICE: readonly string[] = ['killed', 'worker-failed'];

type Owner = { readonly uid: number; readonly gid: number };

/** Owner of a dump, who gets its answers as far as this process may give them away. */
function ownerOf(dump: string): Owner | undefined {
  return statOf(dump);
}

/** Time of an answer that a later run may complete: older than its dump. Milliseconds since 1970. */
function repeatedBefore({ mtime = 0 }: FoundDump): number {
  return 1000 * (Math.floor(mtime / 1000) - 1);
}

/** Returns why it failed: then the dump is read again. */
function setTime(path: string, ms: number): string | undefined {
  try {
    utimesSync(path, new Date(), new Date(ms));
    return undefined;
  } catch (error) {
    return `${path}: time cannot be set (${errorCode(error)})`;
  }
}

/** Runs a program with a text on stdin; its output is discarded. Returns why it failed. */
async function notified(program: string, text: string): Promise<string | undefined> {
  let input: number;
  try {
    input = openSync(text, 'r');
  } catch (error) {
    return `${text}: cannot be read (${errorCode(error)})`;
  }
  let timer: NodeJS.Timeout | undefined;
  try {
    const child = startGroup(program, [], { stdio: [input, 'ignore', 'ignore'], env: {} });
    timer = setTimeout(() => endGroup(child), NOTIFY_MS);
    const [status, signal] = await once(child, 'exit');
    return status === 0 ? undefined : `${program} ended with ${signal === null ? `status ${status}` : signal}`;
  } catch (error) {
    return `${program} cannot be started (${errorCode(error)})`;
  } finally {
    clearTimeout(timer);
    closeSync(input);
  }
}

/** Removes the oldest extracts, also of dumps that are gone, until the rest is within the limits. */
export function removeOldExtracts(
  { dumps, extracts: others }: Pick<Found, 'dumps' | 'extracts'>,
  { keep, keepBytes }: BesideOptions,
): void {
  if (keep === undefined && keepBytes === undefined) return;
  const paths = new Set([...others, ...dumps.map((dump) => `${prefixOf(dump)}.extract`)]);
  const extracts = [...paths].flatMap((path) => {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    return stat?.isFile() ? [{ path, size: stat.size, at: stat.mtimeMs }] : [];
  });
  let bytes = 0;
  for (const [index, { path, size }] of extracts.sort((extract, other) => other.at - extract.at).entries()) {
    bytes += size;
    if (index >= (keep ?? Number.POSITIVE_INFINITY) || bytes > (keepBytes ?? Number.POSITIVE_INFINITY))
      rmSync(path, { force: true });
  }
}

/** Prints a line for each dump as soon as it was read. */
export class BesideLines implements LineOutput {
  write(_index: number, dump: string, text: string): void {
    const { error, findings }: Pick<TriageLineJson, 'error' | 'findings'> = JSON.parse(text);
    const why = error?.message.replace(`${dump}: `, '');
    const what = findings?.[0]?.words ?? (error ? undefined : 'no findings');
    printText(escapeText(`${dump}: ${[why, what].filter((part) => part !== undefined).join(' ')}`));
  }

  finish(): void {}

  close(): void {}
}
