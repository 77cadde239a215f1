import type { EndedProcess, GrownProcess, MachineSample, ProcessSample } from '../contracts/growth.js';
import type { WatchSampleJson } from '../contracts/watch.js';
import { type GrowthAnswer, type LossSeries, lossOf } from './answer.js';
import { type History, type HistoryKind, NO_TREND } from './trend.js';

/** A machine and its processes at one time. */
export interface ProcessesAtTime {
  readonly machine: MachineSample;
  readonly processes: readonly ProcessSample[];
  /** Every process of the previous samples is still included, unless it exited. */
  readonly whole: boolean;
  /** MemAvailable used by processes that are not in the sample, bytes; undefined: there are no others. */
  readonly others?: OtherProcesses | undefined;
}

/** Processes of which only sums are known. */
export type OtherProcesses = WatchSampleJson['otherProcesses'];

/** Maximum number of exited processes that grew until they exited. */
const MAX_ENDED = 20;

/** More boots than any machine has: such input is no history of one. */
const MAX_BOOTS = 10_000;

/** Maximum number of followed processes if samples are partial: those not seen for longest are dropped first. */
const MAX_FOLLOWED = 400;

/** State of one process. */
interface Track<H> {
  sample: ProcessSample;
  seenAt: number;
  series: H;
  /** How the held memory was measured. */
  by: 'pss' | 'rss' | undefined;
  faults: FaultCount | undefined;
  minorFaultsPerSecond: number | null;
  majorFaultsPerSecond: number | null;
}

interface FaultCount {
  readonly at: number;
  readonly minor: number | null;
  readonly major: number | null;
}

/**
 * Follows the processes of a machine from sample to sample. Memory is limited by the number of concurrent
 * processes, some kilobytes each; of exited ones only a few that grew are kept.
 */
export class ProcessGrowth<H extends History = History> {
  #machine: MachineSample | undefined;
  readonly #boots = new Set<string>();
  #bootCount = 0;
  #tracks = new Map<string, Track<H>>();
  #loss: LossSeries<H>;
  #ended: EndedProcess[] = [];
  #endedGrowing: EndedProcess[] = [];
  #pidsReused = 0;
  #notLater = 0;
  #begunAnew = 0;
  #complete = false;

  /** @param faultsSince reference for page faults: the previous sample, or the first one of the process */
  constructor(
    readonly faultsSince: 'last' | 'first',
    readonly kind: HistoryKind<H>,
  ) {
    this.#loss = emptyLoss(kind);
  }

  /** @returns `mixed` if the sample is of an earlier boot or another machine; it is not added */
  add(look: ProcessesAtTime): 'taken' | 'not-later' | 'mixed' {
    const { machine, processes, whole } = look;
    const known = this.#machine;
    if (!known || known.bootId !== machine.bootId) {
      if (this.#boots.has(machine.bootId ?? '') || this.#boots.size === MAX_BOOTS) return 'mixed';
      this.#begin(machine);
    } else if (machine.uptimeSeconds <= known.uptimeSeconds) {
      this.#notLater++;
      return 'not-later';
    }
    this.#machine = machine;
    const seen = new Set<string>();
    for (const sample of processes) {
      const key = keyOf(sample);
      seen.add(key);
      this.#follow(key, sample, machine.uptimeSeconds);
    }
    this.#ended = [];
    this.#removeExited(seen, new Set(processes.map(({ pid }) => pid)), whole);
    this.#sum(look);
    return 'taken';
  }

  /** @returns undefined if there was no sample */
  answer(): GrowthAnswer | undefined {
    const machine = this.#machine;
    if (!machine) return undefined;
    const { samples, seconds } = this.#loss.clock;
    return {
      machine,
      samples,
      seconds,
      loss: lossOf(this.#loss, this.kind),
      processes: [...this.#tracks.values()].map((track) => this.#grownOf(track)).sort(byGrowth),
      ended: this.#ended,
      endedGrowing: this.#endedGrowing,
      pidsReused: this.#pidsReused,
      boots: this.#bootCount,
      notLater: this.#notLater,
      restartedSeries: this.#begunAnew,
      complete: this.#complete && this.#begunAnew === 0,
    };
  }

  #begin({ bootId }: MachineSample): void {
    this.#boots.add(bootId ?? '');
    this.#bootCount++;
    this.#tracks.clear();
    this.#loss = emptyLoss(this.kind);
    this.#ended = [];
    this.#endedGrowing = [];
    this.#notLater = 0;
    this.#begunAnew = 0;
  }

  #follow(key: string, sample: ProcessSample, uptime: number): void {
    const { heldBytes, heldBy, uptimeSeconds, minorFaults, majorFaults } = sample;
    const at = uptimeSeconds ?? uptime;
    let track = this.#tracks.get(key);
    if (!track) {
      track = {
        sample,
        seenAt: at,
        series: this.kind.make(),
        by: undefined,
        faults: undefined,
        minorFaultsPerSecond: null,
        majorFaultsPerSecond: null,
      };
      this.#tracks.set(key, track);
    }
    if (heldBytes !== null && heldBy !== null) {
      // Values that were measured differently are not comparable, nor are sums with them.
      if (track.by !== undefined && track.by !== heldBy) {
        track.series = this.kind.make();
        this.#restartSums();
      }
      track.by = heldBy;
      if (!track.series.add(at, heldBytes)) {
        // Either its time or an earlier one is wrong; it is unknown which.
        this.#begunAnew++;
        track.series = this.kind.make();
        track.series.add(at, heldBytes);
      }
    }
    const faults = { at, minor: minorFaults, major: majorFaults };
    if (track.faults && at > track.faults.at) {
      const rate = (now: number | null, past: number | null) =>
        now === null || past === null || now < past ? null : (now - past) / (at - (track.faults?.at ?? 0));
      track.minorFaultsPerSecond = rate(minorFaults, track.faults.minor);
      track.majorFaultsPerSecond = rate(majorFaults, track.faults.major);
    }
    if (this.faultsSince === 'last' || !track.faults) track.faults = faults;
    track.sample = sample;
    track.seenAt = at;
  }

  #restartSums(): void {
    const { make } = this.kind;
    this.#loss = { ...this.#loss, held: make(), rest: make(), restOfSeen: make() };
  }

  /** Removes exited processes: in partial samples those whose pid belongs to another process. */
  #removeExited(seen: ReadonlySet<string>, pids: ReadonlySet<number>, whole: boolean): void {
    for (const [key, track] of this.#tracks) {
      if (seen.has(key)) continue;
      const pidReused = pids.has(track.sample.pid);
      if (!whole && !pidReused) continue;
      this.#tracks.delete(key);
      if (pidReused) this.#pidsReused++;
      const { pid, comm, startTicks, heldBytes, growth, course } = this.#grownOf(track);
      const seenSeconds = track.seenAt;
      this.#ended.push({ pid, comm, startTicks, heldBytes, growth, course, seenSeconds, pidReused });
    }
    const growing = this.#ended.filter(({ course }) => course === 'grows');
    if (growing.length > 0) this.#endedGrowing = [...this.#endedGrowing, ...growing].sort(byGrowth).slice(0, MAX_ENDED);
    if (!whole) this.#evictUnseen(seen);
  }

  /** Removes many at once: finding the ones not seen for longest costs as much for a single one. */
  #evictUnseen(seen: ReadonlySet<string>): void {
    if (this.#tracks.size <= MAX_FOLLOWED) return;
    const unseen = [...this.#tracks].filter(([key]) => !seen.has(key));
    unseen.sort(([, a], [, b]) => a.seenAt - b.seenAt);
    const over = this.#tracks.size - MAX_FOLLOWED / 2;
    for (const [key] of unseen.slice(0, over)) this.#tracks.delete(key);
  }

  #grownOf({ sample, series, minorFaultsPerSecond, majorFaultsPerSecond }: Track<H>): GrownProcess {
    const trend = this.kind.trendOf(series) ?? NO_TREND;
    return { ...sample, ...trend, minorFaultsPerSecond, majorFaultsPerSecond };
  }

  #sum({ machine, processes, whole, others }: ProcessesAtTime): void {
    const { uptimeSeconds: uptime, memAvailableBytes: available } = machine;
    const { clock, available: left, held, rest, restOfSeen } = this.#loss;
    clock.add(uptime, 0);
    if (available !== null) left.add(uptime, available);
    this.#complete = whole && processes.every((process) => process.heldBy === 'pss');
    if (!whole) return;
    let [all, seen, known] = [others?.takenBytes ?? 0, others?.seenBytes ?? 0, others?.takenBytes !== null];
    for (const { takenBytes, heldBy } of processes) {
      all += takenBytes ?? 0;
      known &&= takenBytes !== null;
      // PSS divides shared memory among its processes: it counts once.
      if (heldBy === 'pss') seen += takenBytes ?? 0;
    }
    if (known) held.add(uptime, all);
    if (known && available !== null) rest.add(uptime, available + all);
    if (available !== null) restOfSeen.add(uptime, available + seen);
  }
}

function emptyLoss<H extends History>({ make }: HistoryKind<H>): LossSeries<H> {
  const [clock, available, held, rest, restOfSeen] = [make(), make(), make(), make(), make()];
  return { clock, available, held, rest, restOfSeen };
}

/** Key of a process. A pid is reused, but not with the same start time. */
export function keyOf({ pid, startTicks }: ProcessSample): string {
  return `${pid} ${startTicks ?? '?'}`;
}

/** Significant growth first, then by rate, then by size. */
function byGrowth(a: EndedProcess | GrownProcess, b: EndedProcess | GrownProcess): number {
  return (
    Number(b.course === 'grows') - Number(a.course === 'grows') ||
    (b.growth?.perSecond ?? 0) - (a.growth?.perSecond ?? 0) ||
    (b.heldBytes ?? -1) - (a.heldBytes ?? -1) ||
    a.pid - b.pid
  );
}
