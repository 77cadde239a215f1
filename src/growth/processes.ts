import type { Held, ProcessSample } from '../account/processes/sample.js';
import type { MachineSample } from '../records/machine-sample.js';
import type { EndedProcess, GrownProcess, GrowthAnswer } from './answer.js';
import type { History, HistoryKind } from './history.js';
import { type LossSeries, lossOf } from './loss.js';
import type { Trend } from './trend.js';

/** A machine and its processes at one time. */
export interface ProcessesAtTime {
  readonly machine: MachineSample;
  readonly processes: readonly ProcessSample[];
  /** All processes that were among them before are so now, unless they ended. */
  readonly whole: boolean;
  /** What those take of MemAvailable that are not among them, bytes; undefined: there are no others. */
  readonly others?: OtherProcesses | undefined;
}

/** Processes of which only sums are known, as those of {@link Held}. */
export interface OtherProcesses {
  readonly processes: number;
  /** Null: of some nothing is known. */
  readonly taken: number | null;
  /** Of those alone that share nothing twice. */
  readonly seen: number;
}

/** Of processes that grew until they ended, so many are kept. */
const MOST_ENDED = 20;

/** Machines do not boot so often: what says so is no history of one. */
const MOST_BOOTS = 10_000;

/** Processes that are followed where looks have not all: more are let go, those first that were not seen longest. */
const MOST_FOLLOWED = 400;

/** What is kept of one process. */
interface Track<H> {
  sample: ProcessSample;
  seenAt: number;
  series: H;
  /** How that was measured. */
  by: Held['by'] | undefined;
  faults: FaultCount | undefined;
  minorPerSecond: number | null;
  majorPerSecond: number | null;
}

interface FaultCount {
  readonly at: number;
  readonly minor: number | null;
  readonly major: number | null;
}

/**
 * Follows the processes of a machine from sample to sample, in memory that is bounded by how many there are at
 * once: of each some kilobytes, of those that have ended nothing but a few that grew.
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

  /** @param faultsSince what faults are compared with: the sample before, or the first of the process */
  constructor(
    readonly faultsSince: 'last' | 'first',
    readonly kind: HistoryKind<H>,
  ) {
    this.#loss = emptyLoss(kind);
  }

  /** @returns `mixed`, and nothing is taken: it is of a boot (or machine) before the last one */
  add(look: ProcessesAtTime): 'taken' | 'not-later' | 'mixed' {
    const { machine, processes, whole } = look;
    const known = this.#machine;
    if (!known || known.bootId !== machine.bootId) {
      if (this.#boots.has(machine.bootId ?? '') || this.#boots.size === MOST_BOOTS) return 'mixed';
      this.#begin(machine);
    } else if (machine.uptime <= known.uptime) {
      this.#notLater++;
      return 'not-later';
    }
    this.#machine = machine;
    const seen = new Set<string>();
    for (const sample of processes) {
      const key = keyOf(sample);
      seen.add(key);
      this.#follow(key, sample, machine.uptime);
    }
    this.#ended = [];
    this.#letGo(seen, new Set(processes.map(({ who }) => who.pid)), whole);
    this.#sum(look);
    return 'taken';
  }

  /** @returns undefined: there was no sample */
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
      begunAnew: this.#begunAnew,
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
    const { held, readAt, minorFaults, majorFaults } = sample;
    const at = readAt ?? uptime;
    let track = this.#tracks.get(key);
    if (!track) {
      track = {
        sample,
        seenAt: at,
        series: this.kind.make(),
        by: undefined,
        faults: undefined,
        minorPerSecond: null,
        majorPerSecond: null,
      };
      this.#tracks.set(key, track);
    }
    if (held) {
      // Measured in another way it is another figure.
      if (track.by !== undefined && track.by !== held.by) track.series = this.kind.make();
      track.by = held.by;
      if (!track.series.add(at, held.bytes)) {
        // Its time or one before is wrong: which of them, nobody knows.
        this.#begunAnew++;
        track.series = this.kind.make();
        track.series.add(at, held.bytes);
      }
    }
    const faults = { at, minor: minorFaults, major: majorFaults };
    if (track.faults && at > track.faults.at) {
      const rate = (now: number | null, past: number | null) =>
        now === null || past === null || now < past
          ? null
          : (now - past) / (at - (track.faults?.at ?? 0));
      track.minorPerSecond = rate(minorFaults, track.faults.minor);
      track.majorPerSecond = rate(majorFaults, track.faults.major);
    }
    if (this.faultsSince === 'last' || !track.faults) track.faults = faults;
    track.sample = sample;
    track.seenAt = at;
  }

  /** Those that ended: of looks that have not all, those whose pid another process has. */
  #letGo(seen: ReadonlySet<string>, pids: ReadonlySet<number>, whole: boolean): void {
    for (const [key, track] of this.#tracks) {
      if (seen.has(key)) continue;
      const pidReused = pids.has(track.sample.who.pid);
      if (!whole && !pidReused) continue;
      this.#tracks.delete(key);
      if (pidReused) this.#pidsReused++;
      this.#ended.push({ ...this.#grownOf(track), seenAt: track.seenAt, pidReused });
    }
    const growing = this.#ended.filter(({ trend }) => trend?.course === 'grows');
    if (growing.length > 0)
      this.#endedGrowing = [...this.#endedGrowing, ...growing].sort(byGrowth).slice(0, MOST_ENDED);
    if (!whole) this.#letGoUnseen(seen);
  }

  /** Many at once: to find those that were not seen longest costs as much for one. */
  #letGoUnseen(seen: ReadonlySet<string>): void {
    if (this.#tracks.size <= MOST_FOLLOWED) return;
    const unseen = [...this.#tracks].filter(([key]) => !seen.has(key));
    unseen.sort(([, a], [, b]) => a.seenAt - b.seenAt);
    const over = this.#tracks.size - MOST_FOLLOWED / 2;
    for (const [key] of unseen.slice(0, over)) this.#tracks.delete(key);
  }

  #grownOf({ sample, series, minorPerSecond, majorPerSecond }: Track<H>): GrownProcess {
    return { sample, trend: this.kind.trendOf(series), minorPerSecond, majorPerSecond };
  }

  #sum({ machine, processes, whole, others }: ProcessesAtTime): void {
    const { uptime, available } = machine;
    const { clock, available: left, held, rest, restOfSeen } = this.#loss;
    clock.add(uptime, 0);
    if (available !== null) left.add(uptime, available);
    this.#complete = whole && processes.every((one) => one.held?.by === 'pss');
    if (!whole) return;
    let [all, seen, known] = [others?.taken ?? 0, others?.seen ?? 0, others?.taken !== null];
    for (const { held: own } of processes) {
      if (own) all += own.taken;
      else known = false;
      // What several map is divided among them: it counts once.
      if (own?.by === 'pss') seen += own.taken;
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

/** A pid is used again; the time at which a process began is not, with the same pid. */
export function keyOf({ who, started }: ProcessSample): string {
  return `${who.pid} ${started ?? '?'}`;
}

/** What grows for sure first; then by how fast it does, then by how much there is. */
function byGrowth(a: GrownProcess, b: GrownProcess): number {
  const [one, other] = [a, b].map(({ trend }) => (trend?.course === 'grows' ? 1 : 0));
  const rate = (trend: Trend | null) => trend?.growth.perSecond ?? 0;
  return (
    (other ?? 0) - (one ?? 0) ||
    rate(b.trend) - rate(a.trend) ||
    (b.sample.held?.bytes ?? -1) - (a.sample.held?.bytes ?? -1) ||
    a.sample.who.pid - b.sample.who.pid
  );
}
