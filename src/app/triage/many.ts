import { earlierLine, endJson, filed, parseLine } from '../../answers/triage/end.js';
import { failedJson, lineJson } from '../../answers/triage/line.js';
import type {
  SummaryJson,
  TriageEndJson,
  TriageLineJson,
} from '../../answers/triage/line-schema.js';
import { similarText } from '../../answers/triage/similar.js';
import { type DumpRow, dumpRow, dumpsTable } from '../../answers/triage/table.js';
import { formatJson } from '../../base/json.js';
import { endAll } from '../../host/child.js';
import { EarlierLines, type ResumedLine } from '../../triage/batch/earlier-lines.js';
import { FiledLines, type LineOutput, StreamedLines } from '../../triage/batch/output.js';
import { inTurns } from '../../triage/batch/pool.js';
import type { Found, FoundDump } from '../../triage/batch/search.js';
import { isOfShard, type Shard } from '../../triage/batch/shard.js';
import { runWorker } from '../../triage/batch/worker.js';
import type { FailOn } from '../../triage/fail-on.js';
import { EXIT } from '../kit/failure.js';
import { printAnswer } from '../kit/output.js';
import { Progress, terminalWidth } from '../kit/terminal.js';
import { type Jobs, shareOut } from './jobs.js';

/** How many dumps are looked at. */
export interface ManyOptions {
  readonly jobs?: number;
  /** Seconds for each dump. */
  readonly timeout?: number;
  /** Bytes for each process. */
  readonly workerMemory?: number;
  readonly shard?: Shard;
  readonly output?: string;
  readonly resume?: readonly string[];
  readonly retry?: true;
  /** Lines of JSON, not a table. */
  readonly ndjson?: true;
  /** The table is of kinds of trouble. */
  readonly similar?: true;
  readonly strict?: true;
  /** A team's own, of which each process reads them. */
  readonly rules?: string;
  /** SHA-256 of that file. */
  readonly rulesFile?: string;
  /** A folder with what dumps may lack of symbols and types. */
  readonly symbolsDir?: string;
}

const TIMEOUT = 600;

/**
 * Looks at every dump that is found, each in a process of its own, and writes a line of each and one of
 * the whole, or a table for people. The exit status says whether all were read.
 *
 * @param search looks for them, once
 * @param failing findings with which a line ends the program with status 1; null: none
 * @throws {OutputError} the output cannot be written, or is something else
 * @throws {UsageError} so many jobs that none has enough memory
 */
export async function tellMany(
  search: () => Found,
  options: ManyOptions,
  failing: FailOn | null,
): Promise<void> {
  const begun = performance.now();
  const jobs = shareOut(options);
  const found = search();
  const table = options.ndjson ? undefined : new TableLines(options.similar === true);
  const { shard } = options;
  const mine = found.dumps.filter(({ place }) => shard === undefined || isOfShard(place, shard));
  const earlier = new EarlierLines(parseLine);
  for (const file of options.resume ?? []) earlier.take(file, false);
  const output: LineOutput =
    table ??
    (options.output === undefined ? new StreamedLines() : new FiledLines(options.output, earlier));
  try {
    const run = new Run(mine, earlier, output, options, jobs);
    await run.all();
    const isMine = new Set(mine.map(({ dump }) => dump));
    const kept = earlier.own().filter(({ dump }) => !isMine.has(dump));
    const lines = [...run.lines, ...kept];
    const seconds = (performance.now() - begun) / 1000;
    const end = endJson(lines, {
      found,
      failing,
      seconds,
      shard: shard ?? null,
      resumed: run.resumed,
      kept: kept.length,
      otherShards: found.dumps.length - mine.length,
    });
    output.finish(
      lines.map(({ dump }) => dump),
      formatJson(end),
    );
    process.exitCode = statusOf(end, found, options);
  } finally {
    output.close();
    earlier.close();
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

/** Goes once through the dumps. */
class Run {
  /** What the line of each dump says. */
  readonly lines: ResumedLine[] = [];
  resumed = 0;
  readonly #dumps: readonly FoundDump[];
  readonly #earlier: EarlierLines;
  readonly #output: LineOutput;
  readonly #options: ManyOptions;
  readonly #progress: ManyProgress;
  readonly #jobs: Jobs;

  constructor(
    dumps: readonly FoundDump[],
    earlier: EarlierLines,
    output: LineOutput,
    options: ManyOptions,
    jobs: Jobs,
  ) {
    this.#dumps = dumps;
    this.#earlier = earlier;
    this.#output = output;
    this.#options = options;
    this.#progress = new ManyProgress(dumps.length);
    this.#jobs = jobs;
  }

  async all(): Promise<void> {
    try {
      await inTurns(this.#dumps.length, this.#jobs.atOnce, (index) => this.#one(index));
    } catch (error) {
      // Lines that cannot be written need nobody who finds more of them.
      endAll();
      throw error;
    } finally {
      this.#progress.clear();
    }
  }

  async #one(index: number): Promise<void> {
    const dump = this.#dumps[index]!;
    const facts = filed(dump, this.#options.rulesFile ?? null);
    const told = this.#earlier.find(facts);
    if (told && (told.ok || !this.#options.retry)) {
      this.lines[index] = told;
      this.resumed++;
      this.#progress.skip();
      if (this.#options.output === undefined)
        this.#output.write(index, dump.dump, this.#earlier.text(dump.dump), told);
      return;
    }
    const begun = performance.now();
    const answer = await this.#ask(dump);
    const line = lineJson(facts, answer, (performance.now() - begun) / 1000);
    this.#write(index, line);
    this.#progress.done(line.ok);
  }

  #write(index: number, line: TriageLineJson): void {
    const text = formatJson(line);
    const told = parseLine(text);
    if (told === undefined || told === 'end') throw new Error('a line of ours that is none');
    this.lines[index] = told;
    this.#output.write(index, line.dump, text, told);
  }

  async #ask({ files, unfit }: FoundDump): Promise<SummaryJson> {
    if (unfit) return failedJson({ ...unfit, signal: null });
    const { rules, symbolsDir } = this.#options;
    const named = files.flatMap((file) => ['--vmcore', file]);
    const words = [
      'triage',
      '--as-worker',
      ...named,
      ...(rules ? ['--rules', rules] : []),
      ...(symbolsDir ? ['--symbols-dir', symbolsDir] : []),
    ];
    const limits = {
      seconds: this.#options.timeout ?? TIMEOUT,
      bytes: this.#jobs.bytes,
    };
    const end = await runWorker(words, limits);
    if ('failure' in end) return failedJson(end.failure);
    return answerOf(end.text);
  }
}

function answerOf(text: string): SummaryJson {
  try {
    return JSON.parse(text) as SummaryJson;
  } catch {
    const message = 'what its process printed is no answer';
    return failedJson({ code: 'worker-failed', message, signal: null });
  }
}

/** Keeps what a table shows of each line, and prints it in the end. */
class TableLines implements LineOutput {
  readonly #similar: boolean;
  readonly #rows: DumpRow[] = [];

  /** @param similar by kinds of trouble */
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
    printAnswer(show(this.#rows, JSON.parse(end) as TriageEndJson, terminalWidth()));
  }

  close(): void {}
}

/** How far a run over many dumps is, and when it ends if the rest takes as long as what is done. */
class ManyProgress {
  readonly #progress = new Progress();
  readonly #begun = performance.now();
  readonly #count: number;
  #skipped = 0;
  #done = 0;
  #failed = 0;

  constructor(count: number) {
    this.#count = count;
  }

  /** An earlier run has its line. */
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
    this.#progress.show(
      progressWords(this.#count, this.#skipped, this.#done, this.#failed, seconds),
    );
  }
}

/** @param skipped dumps that took no time */
export function progressWords(
  count: number,
  skipped: number,
  done: number,
  failed: number,
  seconds: number,
): string {
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
