import type { MemoryAnswer } from '../../account/memory/answer.js';
import type { CategoryName } from '../../account/memory/categories.js';
import type { Category } from '../../account/memory/category.js';
import { conflictWhy } from '../../account/memory/free-conflict.js';
import { processSample } from '../../account/processes/sample.js';
import { KdumpMemError } from '../../base/error.js';
import { HostError } from '../../base/errors/host.js';
import { KernelError, ReadError } from '../../base/errors/kernel.js';
import type { UnavailableCode } from '../../base/errors/unavailable.js';
import { keyOf } from '../../growth/processes.js';
import { choose } from '../../growth/watch/chosen.js';
import type { LedgerSample, WatchSample } from '../../growth/watch/sample.js';
import type { HostSource } from '../../host/host-source.js';
import { readMachine } from '../../host/proc/machine-sample.js';
import { readProcesses } from '../../host/proc/process-memory.js';

export interface SampleOptions {
  readonly interval: number;
  /** What processes hold by smaps_rollup, which divides what is shared, and costs much more. */
  readonly pss?: true;
}

/** Samples of a machine, each of the processes of the one before and those that hold most. */
export class Sampler {
  #before: ReadonlySet<string> = new Set();
  /** Where the memory is has been told. */
  #told = false;

  /** @param lookMemory where the memory is, at one time */
  constructor(
    readonly source: HostSource,
    readonly lookMemory: () => Promise<MemoryAnswer>,
    readonly options: SampleOptions,
  ) {}

  /** Goes on after a sample that was stored. */
  goOn({ look }: WatchSample): void {
    this.#before = new Set(look.processes.map(keyOf));
  }

  /**
   * @param lost samples since the one before that could not be taken
   * @throws {HostError} /proc does not tell of processes, or of the time; what `lookMemory` throws before it ever
   *   answered
   */
  async take(at: Date, lost: number): Promise<WatchSample> {
    const machine = readMachine(this.source, at);
    const { interval, pss } = this.options;
    const cheap = { withoutOom: true, sumsOf: async () => undefined };
    const records = await readProcesses(this.source, pss ? { withoutOom: true } : cheap);
    // A watch that has just begun grows: we would name ourselves.
    const others = records.processes.filter(({ pid }) => pid !== process.pid);
    const chosen = choose(
      others.map((record) => processSample(record, null)),
      this.#before,
    );
    this.#before = new Set(chosen.processes.map(keyOf));
    const memory = await this.#memory();
    const { hidden } = records;
    return {
      look: {
        machine,
        processes: chosen.processes,
        others: chosen.others,
        whole: !hidden && chosen.letGo === 0,
      },
      ledger: 'why' in memory ? null : ledgerOf(memory),
      noCategories: 'why' in memory ? memory.why : null,
      noCategoriesCode: 'why' in memory ? memory.code : null,
      hidden,
      interval,
      lost,
    };
  }

  /** Or why it cannot be told, once it could: what never could be is not waited for. */
  async #memory(): Promise<MemoryAnswer | NoMemory> {
    try {
      const answer = await this.lookMemory();
      this.#told = true;
      // What is free would grow or shrink with whichever of both facts is wrong.
      return answer.freeConflict
        ? { code: 'damaged', why: conflictWhy(answer.freeConflict) }
        : answer;
    } catch (error) {
      if (this.#told && error instanceof KdumpMemError)
        return { code: codeOf(error), why: error.message };
      throw error;
    }
  }
}

/** Why it cannot be told; null: what ended it has no such code. */
interface NoMemory {
  readonly code: UnavailableCode | null;
  readonly why: string;
}

function codeOf(error: KdumpMemError): UnavailableCode | null {
  const known =
    error instanceof KernelError || error instanceof ReadError || error instanceof HostError;
  return known ? error.code : null;
}

/** Of what nothing is known 0 would be a figure. */
function ledgerOf({ source, memory }: MemoryAnswer): LedgerSample {
  const leaves = memory.children.flatMap(({ children }) => children);
  const known = leaves.filter(({ bytes, complete }) => bytes > 0 || complete);
  return { source, categories: new Map(known.map((leaf) => [nameOf(leaf), leaf.bytes])) };
}

function nameOf({ category }: Category): CategoryName {
  return category as CategoryName;
}
