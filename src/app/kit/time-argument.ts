import { InvalidArgumentError } from 'commander';
import { DURATION_FORMS, secondsOf } from '../../base/quantity.js';

/** `30`, `500ms`, `1.5s`, `10m`, `2h`, `1d` in seconds. */
export function parseTime(text: string): number {
  const seconds = secondsOf(text);
  if (seconds === undefined) throw new InvalidArgumentError(`It takes a time: ${DURATION_FORMS}.`);
  return seconds;
}

/**
 * Parses a time within bounds.
 *
 * @param least seconds; so is `most`
 * @param takes the bounds in words
 */
export function timeWithin(least: number, most: number, takes: string): (text: string) => number {
  return (text) => {
    const seconds = parseTime(text);
    if (!(seconds >= least && seconds <= most))
      throw new InvalidArgumentError(`It takes ${takes}.`);
    return seconds;
  };
}

/** Time between two samples. In less than half a second a healthy machine may well do nothing. */
export const parseInterval = timeWithin(0.5, 3600, '0.5 to 3600 seconds');

/** The same where a sample shows a trend over many of them, and not what was done since the last. */
export const parseShortInterval = timeWithin(0.1, 3600, '0.1 to 3600 seconds');

/** The same, or 0: no time at all, and so one sample. */
export function parseIntervalOrNone(text: string): number {
  if (parseTime(text) === 0) return 0;
  return timeWithin(0.5, 3600, '0, or 0.5 to 3600 seconds')(text);
}
