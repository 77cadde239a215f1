import { setTimeout } from 'node:timers/promises';
import { earlierLine, endJson, failedJson, filed, lineJson, parseLine } from '../../answers/triage/line.js';
import { type DumpRow, dumpRow, dumpsTable, similarText } from '../../answers/triage/table.js';
import { formatJson } from '../../base/util.js';
import type { SummaryJson, TriageEndJson, TriageLineJson } from '../../contracts/triage-line.js';
import { endAll } from '../../host/child.js';
import { FOLDER_SECONDS } from '../../host/recognise.js';
import { EarlierLines, type ResumedLine } from '../../triage/batch/earlier-lines.js';
import { FiledLines, type LineOutput, StreamedLines } from '../../triage/batch/output.js';
import type { Found, FoundDump } from '../../triage/batch/search.js';
import { isOfShard } from '../../triage/batch/shard.js';
import { inTurns, runWorker } from '../../triage/batch/worker.js';
import type { FailOn } from '../../triage/finding.js';
import { EXIT } from '../kit/failure.js';
import { printText, printWarnings } from '../kit/output.js';
import { Progress, terminalWidth } from '../kit/terminal.js';
import { BesideLines, isAnswered, isFresh, removeOldExtracts, type WorkerSummary, writeBeside } from './beside.js';
import { type Jobs, shareOut } from './jobs.js';
import type { ManyTriageOptions } from './options.js';

/** Options of a run over many dumps. */
export type ManyOptions = ManyTriageOptions & {
  readonly strict?: true;
  /** File of custom rules, read by each process. */
  readonly rules?: string;
  /** File of a recorder, read by each process. */
  readonly ring?: string;
  /** SHA-256 of the file of custom rules. */
  readonly rulesFile?: string;
};

/**
 * Reads each dump in a separate process, and writes a line for each dump and a final one, or a table. The
 * exit status tells whether all dumps were read.
 *
 * @param search finds the dumps; called again for answers beside dumps that arrive meanwhile
 * @param failing findings that cause exit status 1; null: none
 * @throws {OutputError} the output cannot be written, or is another file
 * @throws {UsageError} too many jobs for the available memory
 */
export async function triageMany(search: () => Found, options: ManyOptions, failing: FailOn | null): Promise<void> {
  const begun = performance.now();
  const jobs = shareOut(options);
  let searched = search();
  const { beside = false } = options;
  const lines = beside ? new BesideLines() : new TableLines(options.similar === true);
  const table = options.ndjson ? undefined : lines;
  const { shard } = options;
  const ofShard = () => searched.dumps.filter(({ place }) => shard === undefined || isOfShard(place, shard));
  const earlier = new EarlierLines(parseLine);
  for (const file of options.resume ?? []) earlier.take(file, false);
  const output: LineOutput =
    table ?? (options.output === undefined ? new StreamedLines() : new FiledLines(options.output, earlier));
  try {
    const run = new Run(earlier, output, options, jobs);
    if (beside) {
      const refresh = () => {
        searched = search();
      };
      const until = begun + (options.settle ?? 0) * 1000;
      for await (const dumps of arriving(ofShard, refresh, until)) await run.all(dumps);
      removeOldExtracts(searched, options);
    } else await run.all(ofShard());
    const isMine = new Set(run.dumps.map(({ dump }) => dump));
    const kept = earlier.own().filter(({ dump }) => !isMine.has(dump));
    const all = [...run.lines, ...kept];
    const seconds = (performance.now() - begun) / 1000;
    const end = endJson(all, {
      found: searched,
      failing,
      seconds,
      shard: shard ?? null,
      resumed: run.resumed,
      kept: kept.length,
      otherShards: searched.dumps.length - ofShard().length,
    });
    output.finish(
      all.map(({ dump }) => dump),
      formatJson(end),
    );
    process.exitCode = run.problems > 0 ? EXIT.unreadable : statusOf(end, searched, options);
  } finally {
    output.close();
    earlier.close();
  }
}

const SETTLE_MS = 5000;

/**
 * Dumps without answers, as long as there are further ones: each once, those that are being written when they are
 * complete.
 *
 * @param until when to stop waiting for them, as `performance.now()`
 */
async function* arriving(
  known: () => readonly FoundDump[],
  refresh: () => void,
  until: number,
): AsyncGenerator<readonly FoundDump[]> {
  const tried = new Set<string>();
  for (;;) {
    const all = known();
    const dumps = all.filter((dump) => !tried.has(dump.dump) && !isAnswered(dump));
    for (const { dump } of dumps) tried.add(dump);
    if (dumps.length > 0) yield dumps;
    else if (performance.now() < until && all.some((dump) => isFresh(dump))) await setTimeout(SETTLE_MS);
    else return;
    refresh();
  }
}

function statusOf(
  { severe, failed, incomplete }: ReturnType<typeof endJson>,
  { unlisted }: Found,
  { strict }: ManyOptions,
): number {
  if (severe !== null && severe > 0) return EXIT.differs;
  if (failed > 0 || unlisted.length > 0) return EXIT.unreadable;
  return strict && incomplete > 0 ? EXIT.incomplete : EXIT.answered;
}

/** A single pass over the dumps. */
class Run {
  /** Parsed lines of the dumps. */
  readonly lines: ResumedLine[] = [];
  resumed = 0;
  /** Answers that could not be written. */
  problems = 0;
  readonly dumps: FoundDump[] = [];
  readonly #earlier: EarlierLines;
  readonly #output: LineOutput;
  readonly #options: ManyOptions;
  readonly #progress = new ManyProgress();
  readonly #jobs: Jobs;

  constructor(earlier: EarlierLines, output: LineOutput, options: ManyOptions, jobs: Jobs) {
    this.#earlier = earlier;
    this.#output = output;
    this.#options = options;
    this.#jobs = jobs;
  }

  async all(dumps: readonly FoundDump[]): Promise<void> {
    const first = this.dumps.length;
    this.dumps.push(...dumps);
    this.#progress.add(dumps.length);
    try {
      await inTurns(dumps.length, this.#jobs.atOnce, (index) => this.#one(first + index));
    } catch (error) {
      // If lines cannot be written, the workers are stopped.
      endAll();
      throw error;
    } finally {
      this.#progress.clear();
    }
  }

  async #one(index: number): Promise<void> {
    const dump = this.dumps[index]!;
    const facts = filed(dump, this.#options.rulesFile ?? null);
    const resumed = this.#earlier.find(facts);
    if (resumed && (resumed.ok || !this.#options.retry)) {
      this.lines[index] = resumed;
      this.resumed++;
      this.#progress.skip();
      if (this.#options.output === undefined)
        this.#output.write(index, dump.dump, this.#earlier.text(dump.dump), resumed);
      return;
    }
    const begun = performance.now();
    const answer = await (this.#options.beside ? this.#answerBeside(dump) : this.#read(dump));
    const line = lineJson(facts, answer, (performance.now() - begun) / 1000);
    this.#write(index, line);
    this.#progress.done(line.ok);
  }

  #write(index: number, line: TriageLineJson): void {
    const text = formatJson(line);
    const parsed = parseLine(text);
    if (parsed === undefined || parsed === 'end') throw new Error('a line of ours that is none');
    this.lines[index] = parsed;
    this.#output.write(index, line.dump, text, parsed);
  }

  #answerBeside(dump: FoundDump): Promise<SummaryJson> {
    const onProblem = (message: string): void => {
      this.problems++;
      this.#progress.clear();
      printWarnings([{ message }]);
    };
    return writeBeside(dump, this.#options, (words) => this.#read(dump, words), onProblem);
  }

  async #read({ files, unfit }: FoundDump, more: readonly string[] = []): Promise<WorkerSummary> {
    if (unfit) return failedJson({ ...unfit, signal: null });
    const { ring, rules, symbolsDir } = this.#options;
    const named = files.flatMap((file) => ['--vmcore', file]);
    const words = [
      'triage',
      '--as-worker',
      ...named,
      ...(rules ? ['--rules', rules] : []),
      ...(ring ? ['--ring', ring] : []),
      ...(symbolsDir ? ['--symbols-dir', symbolsDir] : []),
      ...more,
    ];
    const limits = { seconds: this.#options.timeout ?? FOLDER_SECONDS, bytes: this.#jobs.bytes };
    const end = await runWorker(words, limits);
    if ('failure' in end) return failedJson(end.failure);
    return answerOf(end.text);
  }
}

function answerOf(text: string): WorkerSummary {
  try {
    return JSON.parse(text) as WorkerSummary;
  } catch {
    const message = 'what its process printed is no answer';
    return failedJson({ code: 'worker-failed', message, signal: null });
  }
}

/** Stores the fields of each line that the table shows, and prints the table at the end. */
class TableLines implements LineOutput {
  readonly #similar: boolean;
  readonly #rows: DumpRow[] = [];

  /** @param similar groups the table by kind of problem */
  constructor(similar: boolean) {
    this.#similar = similar;
  }

  write(index: number, _dump: string, line: string): void {
    const read = earlierLine(line);
    if (read === undefined) throw new Error('a line of ours that is none');
    this.#rows[index] = dumpRow(read);
  }

  finish(_order: readonly string[], end: string): void {
    const show = this.#similar ? similarText : dumpsTable;
    printText(show(this.#rows, JSON.parse(end) as TriageEndJson, terminalWidth()));
  }

  close(): void {}
}

/** Progress of a run over many dumps, with the remaining time estimated from the average so far. */
class ManyProgress {
  readonly #progress = new Progress();
  readonly #begun = performance.now();
  #count = 0;
  #skipped = 0;
  #done = 0;
  #failed = 0;

  add(count: number): void {
    this.#count += count;
  }

  /** Skips a dump whose line an earlier run has written. */
  skip(): void {
    this.#skipped++;
    this.#show();
  }

  done(ok: boolean): void {
    this.#done++;
    if (!ok) this.#failed++;
    this.#show();
  }

  clear(): void {
    this.#progress.clear();
  }

  #show(): void {
    const seconds = (performance.now() - this.#begun) / 1000;
    this.#progress.show(progressWords(this.#count, this.#skipped, this.#done, this.#failed, seconds));
  }
}

/** @param skipped dumps that were skipped, and took no time */
export function progressWords(count: number, skipped: number, done: number, failed: number, seconds: number): string {
  const left = count - skipped - done;
  const bad = failed === 0 ? '' : `, ${failed} unreadable`;
  const when = done === 0 ? '' : `, about ${timeWords((seconds / done) * left)} left`;
  return `${skipped + done} of ${count} dumps${bad}${when}`;
}

function timeWords(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 100) return `${whole} s`;
  const minutes = Math.ceil(whole / 60);
  return minutes < 100 ? `${minutes} min` : `${Math.ceil(minutes / 60)} h`;
}
