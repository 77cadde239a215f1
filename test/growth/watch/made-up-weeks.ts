import type { WatchSample } from '../../../src/growth/watch/answer.js';
import type { CategoryName } from '../../../src/records/categories.js';
import { chance, noise, type Signal } from '../made-up.js';
import { held, look } from '../made-up-machine.js';

export const DAY = 86_400;
export const MB = 1e6;

/** Seconds between two samples: the hourly means of one per minute are as certain, but take ten times as long. */
export const INTERVAL = 600;

/** MB over time, in seconds. */
type Curve = (time: number) => number;

/** Values are correlated for this many seconds. */
function wandering(seconds: number, deviation: number, seed: number): Signal {
  const next = noise(seed);
  const kept = Math.exp(-INTERVAL / seconds);
  let value = deviation * next();
  return () => {
    value = kept * value + Math.sqrt(1 - kept ** 2) * deviation * next();
    return value;
  };
}

/** Independent numbers for each day. */
function daily(seed: number): (time: number) => number {
  const next = noise(seed);
  const days = Array.from({ length: 20 }, next);
  return (time) => days[Math.floor(time / DAY)] ?? 0;
}

const wave = (time: number) => 200 * Math.sin((2 * Math.PI * time) / DAY);

/** Similar days: up and down by 200 MB, and noise of many kinds. */
export const RHYTHMS: Readonly<Record<string, (seed: number) => Curve>> = {
  'a wave, and little noise': (seed) => {
    const next = noise(seed);
    return (time) => wave(time) + 10 * next();
  },
  'a wave, and much noise': (seed) => {
    const next = noise(seed);
    return (time) => wave(time) + 100 * next();
  },
  'noise that is alike for an hour': (seed) => {
    const next = wandering(3600, 30, seed);
    return (time) => wave(time) + next();
  },
  'noise that is alike for six hours': (seed) => {
    const next = wandering(6 * 3600, 30, seed);
    return (time) => wave(time) + next();
  },
  'noise that is alike for a day': (seed) => {
    const next = wandering(DAY, 50, seed);
    return (time) => wave(time) + next();
  },
  'days of another height each': (seed) => {
    const [next, height] = [noise(seed), daily(seed + 5000)];
    return (time) => wave(time) * (1 + height(time) / 5) + 10 * next();
  },
  'hours of work that begin and end now earlier, now later': (seed) => {
    const [next, begin, end] = [noise(seed), daily(seed + 5000), daily(seed + 6000)];
    return (time) => {
      const hour = (time % DAY) / 3600;
      const works = hour > 9 + begin(time) / 2 && hour < 17 + end(time) / 2;
      return (works ? 200 : -200) + 10 * next();
    };
  },
  'a backup each night': (seed) => {
    const next = noise(seed);
    return (time) => wave(time) + (time % DAY < 3600 ? 400 : 0) + 10 * next();
  },
  'ends of weeks': (seed) => {
    const next = noise(seed);
    const first = Math.floor(7 * chance(seed)());
    return (time) => {
      const rests = (first + Math.floor(time / DAY)) % 7 >= 5;
      return wave(time) * (rests ? 0.3 : 1) - (rests ? 100 : 0) + 10 * next();
    };
  },
  'a random walk of 10 MB an hour': (seed) => {
    const next = noise(seed);
    let walked = 0;
    return (time) => {
      walked += 10 * Math.sqrt(INTERVAL / 3600) * next();
      return wave(time) + walked;
    };
  },
};

export interface WeekOptions {
  readonly rhythm: (seed: number) => Curve;
  readonly seed: number;
  /** MB per minute in `slab-unreclaimable`, and the same for a process if it is one. */
  readonly leak?: number;
  readonly leaks?: 'slab-unreclaimable' | 'anonymous';
  readonly days?: number;
}

/**
 * Repeated samples of a machine with 16 GB over days: anonymous memory, the page cache, slab and page tables have
 * a rhythm and noise each; the page cache fills the rest except 1 GB. The machine was booted at any hour of the day.
 */
export function* week(options: WeekOptions): Generator<WatchSample> {
  const { rhythm, seed, leak = 0, leaks = 'slab-unreclaimable', days = 7 } = options;
  const start = Math.floor(chance(seed + 77)() * 30 * DAY);
  const hour = Math.floor(chance(seed + 78)() * DAY);
  const [own, slab, tables, free] = [seed, seed + 100_000, seed + 200_000, seed + 300_000];
  const curves = [rhythm(own), rhythm(slab), rhythm(tables)];
  const quiet = noise(free);
  for (let time = 0; time <= days * DAY; time += INTERVAL) {
    const [web = 0, kernel = 0, third = 0] = curves.map((curve) => MB * curve(hour + time));
    const leaked = (MB * leak * time) / 60;
    const process = 3e9 + web + (leaks === 'anonymous' ? leaked : 0);
    const categories = new Map<CategoryName, number>([
      ['anonymous', process + 1e9],
      ['slab-unreclaimable', 5e8 + kernel + (leaks === 'anonymous' ? 0 : leaked)],
      ['page-tables', 3e8 + third / 10],
      ['kernel-stacks', 1e7],
      ['free-buddy', 1e9 + MB * 20 * quiet()],
      ['reserved-other', 2e8],
    ]);
    const bytes = new Map([...categories].map(([category, value]) => [category, Math.round(value)]));
    const used = [...bytes.values()].reduce((all, each) => all + each, 0);
    bytes.set('page-cache', 16e9 - used);
    yield {
      look: look(start + time, [held(1, 1e9 / 2 ** 20), held(7, process / 2 ** 20, { comm: 'web' })], {
        memAvailableBytes: (bytes.get('page-cache') ?? 0) + (bytes.get('free-buddy') ?? 0),
      }),
      ledger: { source: 'counters', categories: bytes },
      noCategories: null,
      hidden: false,
      interval: INTERVAL,
      lost: 0,
    };
  }
}
