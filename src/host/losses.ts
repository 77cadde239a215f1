import type { Namespace } from './namespaces.js';
import type { Sample } from './ss/read.js';

/** What was lost over all readings of one observation: those between the samples too. */
export interface Losses {
  /** How often sockets were read. */
  readonly readings: number;
  /** Sums over the readings: a line that is lost each time counts each time. */
  readonly unreadable: number;
  readonly contested: number;
  readonly leftOut: number;
  readonly failed: number;
  /** Each namespace and each table once. */
  readonly closed: readonly Namespace[];
  /** Processes whose network namespace is not shown, where all were asked for. */
  readonly hidden: number;
  readonly unknown: ReadonlySet<string>;
}

export function lossesOf(readings: readonly Sample[], hidden: number): Losses {
  const sum = (of: (sample: Sample) => number) =>
    readings.reduce((total, sample) => total + of(sample), 0);
  const closed = new Map<string, Namespace>();
  const unknown = new Set<string>();
  for (const sample of readings) {
    for (const each of sample.closed) closed.set(`${each.inode} ${each.path}`, each);
    for (const table of sample.unknown) unknown.add(table);
  }
  return {
    readings: readings.length,
    unreadable: sum(({ unreadable }) => unreadable),
    contested: sum(({ contested }) => contested),
    leftOut: sum(({ leftOut }) => leftOut),
    failed: sum(({ failed }) => failed),
    closed: [...closed.values()],
    hidden,
    unknown,
  };
}
