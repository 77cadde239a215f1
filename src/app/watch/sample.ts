import type { MemoryAnswer } from '../../account/memory/answer.js';
import { conflictWhy } from '../../account/memory/proc-counters.js';
import type { Category } from '../../account/memory/tree.js';
import { processSample } from '../../account/processes/process.js';
import { MAX_DEVICES, watchSampleLine } from '../../answers/watch/sample.js';
import {
  HostError,
  KdumpMemError,
  KernelError,
  ReadError,
  StoreError,
  type UnavailableCode,
} from '../../base/errors.js';
import { LineStore, lockStore, type StoreLimits } from '../../base/store.js';
import { formatJson } from '../../base/util.js';
import type { MachineSample } from '../../contracts/growth.js';
import type { DeviceSample } from '../../contracts/watch.js';
import { keyOf } from '../../growth/processes.js';
import type { CategorySample, DeviceSamples, WatchSample } from '../../growth/watch/answer.js';
import { choose } from '../../growth/watch/watch.js';
import type { HostSource } from '../../host/host-source.js';
import { readMachine } from '../../host/proc/machine-sample.js';
import { readProcesses } from '../../host/proc/process-memory.js';
import type { CategoryName } from '../../records/categories.js';
import { DEVICE_KINDS, deviceBounds, isDeviceKind, type NamedKind } from '../../records/named-memory.js';
import type { PssChoice } from '../../records/pss.js';

export interface SampleOptions {
  readonly interval: number;
  /** Processes whose memory is read from smaps_rollup, which divides shared memory, but costs much more; default: none. */
  readonly pss?: PssChoice;
}

/**
 * Samples a machine. Each sample contains the processes of the previous one and those that hold the most
 * memory.
 */
export class Sampler {
  #before: ReadonlySet<string> = new Set();
  readonly #large = new Set<string>();
  /** Whether the memory breakdown has succeeded before. */
  #answered = false;

  /** @param readMemory returns the current memory breakdown */
  constructor(
    readonly source: HostSource,
    readonly readMemory: () => Promise<MemoryAnswer>,
    readonly options: SampleOptions,
  ) {}

  /** Continues from a stored sample. */
  resume({ look }: WatchSample): void {
    this.#before = new Set(look.processes.map(keyOf));
  }

  /**
   * @param lost failed samples since the previous one
   * @throws {HostError} /proc lacks the processes or the time; errors of `lookMemory` until it has succeeded
   * once
   */
  async take(at: Date, lost: number): Promise<WatchSample> {
    const machine = readMachine(this.source, at);
    const { interval, pss = 'none' } = this.options;
    const records = await readProcesses(this.source, { withoutOom: true, pss, large: this.#large });
    // A watch that has just started grows, so kdump-mem would report itself.
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
        whole: !hidden && chosen.droppedProcesses === 0,
      },
      ledger: 'why' in memory ? null : categorySample(memory),
      devices: 'why' in memory ? null : deviceSamples(memory),
      noCategories: 'why' in memory ? memory.why : null,
      noCategoriesCode: 'why' in memory ? memory.code : null,
      hidden,
      interval,
      lost,
    };
  }

  /**
   * Returns the memory breakdown, or why it failed if it has succeeded before. The error of a source that
   * never worked is thrown.
   */
  async #memory(): Promise<MemoryAnswer | NoMemory> {
    try {
      const answer = await this.readMemory();
      this.#answered = true;
      // One of the two conflicting values is wrong, so free memory would show a false trend.
      return answer.freeConflict ? { code: 'damaged', why: conflictWhy(answer.freeConflict) } : answer;
    } catch (error) {
      if (this.#answered && error instanceof KdumpMemError) return { code: codeOf(error), why: error.message };
      throw error;
    }
  }
}

/** Reason why the memory breakdown failed; null: an error without a code. */
interface NoMemory {
  readonly code: UnavailableCode | null;
  readonly why: string;
}

function codeOf(error: KdumpMemError): UnavailableCode | null {
  const known = error instanceof KernelError || error instanceof ReadError || error instanceof HostError;
  return known ? error.code : null;
}

/** Omits unknown categories: 0 would be a false value. */
export function categorySample({ source, memory }: MemoryAnswer): CategorySample {
  const leaves = memory.children.flatMap(({ children }) => children);
  const known = leaves.filter(({ bytes, complete }) => bytes > 0 || complete);
  return { source, categories: new Map(known.map((leaf) => [nameOf(leaf), leaf.bytes])) };
}

/** One pass over descriptors finds them: where it failed for one kind, the others may be partial too. */
const ONE_PASS: ReadonlySet<NamedKind> = new Set(['dma-buf', 'bpf-maps']);

/** Rings, pins and buffers of devices; null: they were not read. */
export function deviceSamples({ named, notRead }: MemoryAnswer): DeviceSamples | null {
  if (!named) return null;
  const devices = named.flatMap(({ kind, name, processes, ...amount }): DeviceSample[] => {
    if (!isDeviceKind(kind)) return [];
    const { bytes, least: leastBytes, most: mostBytes } = deviceBounds(amount);
    const [process = null] = (processes ?? []).toSorted((a, b) => b.bytes - a.bytes);
    return [{ kind, name, bytes, leastBytes, mostBytes, process }];
  });
  return {
    devices: devices.toSorted((a, b) => b.mostBytes - a.mostBytes).slice(0, MAX_DEVICES),
    unread: DEVICE_KINDS.filter((kind) => notRead.some((unread) => unread.kind === kind || ONE_PASS.has(unread.kind))),
  };
}

function nameOf({ category }: Category): CategoryName {
  return category as CategoryName;
}

/** Start of every sample's line: a file that begins differently is not a store. */
const HEAD = '{"schema":"kdump-mem.watch-sample/1"';

/** A file with one line per sample, and a single writer. */
export class WatchStore {
  /** Number of samples of this run that could not be stored. */
  notStored = 0;
  readonly #lines: LineStore;
  readonly #unlock: () => void;
  /** Number of missing samples since the last stored line. */
  #missing = 0;

  private constructor(lines: LineStore, unlock: () => void) {
    this.#lines = lines;
    this.#unlock = unlock;
  }

  /** @throws {StoreError} it cannot be written, or another process writes to it */
  static async open(file: string, limits: StoreLimits): Promise<WatchStore> {
    const unlock = await lockStore(file);
    return new WatchStore(new LineStore(file, limits, HEAD), unlock);
  }

  /**
   * Stores a sample. If that fails, the sample is counted, and the next line reports the number.
   *
   * @returns why it could not be stored, or null
   * @throws {StoreError} `other-writer`: another program writes to the file
   */
  add(sample: WatchSample): StoreError | null {
    const lost = sample.lost + this.#missing;
    try {
      this.#lines.append(formatJson(watchSampleLine({ ...sample, lost })));
      this.#missing = 0;
      return null;
    } catch (error) {
      if (!(error instanceof StoreError) || error.code === 'other-writer') throw error;
      this.notStored++;
      this.#missing = lost + 1;
      return error;
    }
  }

  close(): void {
    this.#lines.close();
    this.#unlock();
  }
}

/**
 * Rejects samples of another machine: one with a different host name and a different boot ID.
 *
 * @throws {HostError}
 */
export function checkSameHost(file: string, last: WatchSample, here: MachineSample): void {
  const { machine: there } = last.look;
  const sameBoot = there.bootId !== null && there.bootId === here.bootId;
  if (sameBoot || there.host === here.host) return;
  const [theirs, ours] = [there, here].map(({ host }) => host ?? 'an unnamed host');
  throw new HostError('unreadable', `${file}: contains samples of ${theirs}, but this host is ${ours}`, {
    next: 'Name another file, or move this one away.',
  });
}
