import { Series } from '../growth/series.js';
import { type Trend, trendOf } from '../growth/trend.js';

/** A figure over all inputs. Bytes; null: unknown. */
export interface Course {
  /** At each input. */
  readonly bytes: readonly (number | null)[];
  /** The last less the first. */
  readonly change: number | null;
  /** Bytes per second between these two; null: unknown, or the time is. */
  readonly perSecond: number | null;
  /** Null: too few inputs. */
  readonly trend: Trend | null;
  /** It grew from each input to the next; null: there are two, or one is not known. */
  readonly grewEachTime: boolean | null;
}

/** @param seconds of each input since the first, each later than the one before; null: not known */
export function courseOf(
  bytes: readonly (number | null)[],
  seconds: readonly number[] | null,
): Course {
  const [first = null, last = null] = [bytes[0], bytes.at(-1)];
  const change = first === null || last === null ? null : last - first;
  const took = seconds?.at(-1) ?? 0;
  const known = bytes.every((one) => one !== null);
  return {
    bytes,
    change,
    perSecond: change === null || took <= 0 ? null : change / took,
    trend: seconds ? trendOf(seriesOf(bytes, seconds)) : null,
    grewEachTime:
      bytes.length > 2 && known
        ? bytes.every((one, at) => at === 0 || (one ?? 0) > (bytes[at - 1] ?? 0))
        : null,
  };
}

/** Returns the course of a figure that cannot be compared. */
export function notCompared(bytes: readonly (number | null)[]): Course {
  return { bytes, change: null, perSecond: null, trend: null, grewEachTime: null };
}

function seriesOf(bytes: readonly (number | null)[], seconds: readonly number[]): Series {
  const series = new Series();
  bytes.forEach((one, at) => {
    if (one !== null) series.add(seconds[at] ?? 0, one);
  });
  return series;
}
