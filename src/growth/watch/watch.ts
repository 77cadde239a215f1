import type { DaySeries } from '../day-series.js';
import { OF_DAYS } from '../day-trend.js';
import { ProcessGrowth } from '../processes.js';
import type { EarlierBoot, Gaps, WatchAnswer, WatchFacts } from './answer.js';
import { DrawerGrowth } from './drawers.js';
import type { WatchSample } from './sample.js';
import { judge } from './verdict.js';

/** Of boots before the last. */
const MOST_EARLIER = 10;

/** A sample that is so many times its interval later than the one before leaves a gap. */
const LATE = 2.5;

/** Seconds by which two clocks may differ between samples: reads take time, and /proc/uptime has hundredths. */
const CLOCK_SLACK = 1;

/** What is kept of one boot beside its figures. */
class Boot {
  readonly drawers = new DrawerGrowth();
  gaps: Gaps = { count: 0, seconds: 0, longest: 0 };
  lost = 0;
  withoutLedger: WatchFacts['withoutLedger'] = { count: 0, why: null };
  hidden = false;
  /** Samples between which the wall clock and the uptime advanced by different times, and by how many seconds. */
  clockSteps = { count: 0, seconds: 0 };
  last: { readonly at: Date; readonly uptime: number; readonly interval: number } | undefined;

  constructor(readonly from: Date) {}

  follow({ look: { machine }, ledger, noLedger, hidden, interval, lost }: WatchSample): void {
    const { at, uptime } = machine;
    const before = this.last;
    this.last = { at, uptime, interval };
    const wall = before ? (at.getTime() - before.at.getTime()) / 1000 : 0;
    const step = before ? Math.abs(wall - (uptime - before.uptime)) : 0;
    if (step > CLOCK_SLACK) {
      const { count, seconds } = this.clockSteps;
      this.clockSteps = { count: count + 1, seconds: seconds + step };
    }
    const usual = Math.max(interval, before?.interval ?? 0);
    const late = before ? uptime - before.uptime : 0;
    if (late > LATE * usual) {
      const { count, seconds, longest } = this.gaps;
      const gap = late - usual;
      this.gaps = {
        ...{ count: count + 1, seconds: seconds + gap, longest: Math.max(longest, gap) },
      };
    }
    this.lost += lost;
    this.hidden = hidden;
    if (ledger) this.drawers.add(ledger, uptime, machine.total);
    else this.withoutLedger = { count: this.withoutLedger.count + 1, why: noLedger };
  }
}

/** Follows a machine over days: its drawers and processes, in bounded memory however long it goes on. */
export class WatchGrowth {
  readonly #processes = new ProcessGrowth<DaySeries>('last', OF_DAYS);
  #boot: Boot | undefined;
  #bootId: string | null = null;
  #earlier: EarlierBoot[] = [];

  /** @returns `mixed`, and nothing is taken: it is of a boot (or machine) before the last one */
  add(sample: WatchSample): 'taken' | 'not-later' | 'mixed' {
    const { machine } = sample.look;
    const ended =
      this.#boot && machine.bootId !== this.#bootId ? this.#ended(this.#boot) : undefined;
    const taken = this.#processes.add(sample.look);
    if (taken !== 'taken') return taken;
    if (ended) this.#earlier = [...this.#earlier, ended].slice(-MOST_EARLIER);
    if (ended || !this.#boot) this.#boot = new Boot(machine.at);
    this.#bootId = machine.bootId;
    this.#boot.follow(sample);
    return 'taken';
  }

  /** @returns undefined: there was no sample */
  answer(): WatchAnswer | undefined {
    const facts = this.#boot && this.#facts(this.#boot);
    return facts && { ...facts, ...judge(facts), earlier: this.#earlier };
  }

  #facts({
    from,
    drawers,
    gaps,
    lost,
    withoutLedger,
    hidden,
    clockSteps,
  }: Boot): WatchFacts | undefined {
    const growth = this.#processes.answer();
    if (!growth) return undefined;
    return {
      ...{ growth, from, seconds: growth.seconds, gaps, lost, withoutLedger, hidden },
      ...{ clockSteps },
      ...{ source: drawers.source, sourceChanges: drawers.sourceChanges },
      sumChanges: drawers.sumChanges,
      ...{ drawers: drawers.drawers(), groups: drawers.groups() },
    };
  }

  #ended(boot: Boot): EarlierBoot | undefined {
    const facts = this.#facts(boot);
    if (!facts) return undefined;
    const { growth, from, seconds, drawers } = facts;
    return {
      ...{ bootId: growth.machine.bootId, from, to: growth.machine.at },
      ...{ samples: growth.samples, seconds, verdict: judge(facts).verdict },
      growing: drawers.filter(
        ({ trend, group, reclaimable }) =>
          trend?.course === 'grows' && group !== 'free' && !reclaimable,
      ),
    };
  }
}
