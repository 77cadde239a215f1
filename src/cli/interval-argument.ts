import { InvalidArgumentError } from 'commander';

/** Seconds between two looks. In less than half a second a healthy machine may well do nothing. */
export function parseInterval(text: string): number {
  return secondsOf(text, 0.5, '0.5 to 3600 seconds');
}

/** The same where a look tells of a trend over many of them, and not of what was done since the last. */
export function parseShortInterval(text: string): number {
  return secondsOf(text, 0.1, '0.1 to 3600 seconds');
}

/** The same, or 0: no time at all, and so one look. */
export function parseIntervalOrNone(text: string): number {
  return /^0{1,9}(\.0{1,9})?$/.test(text) ? 0 : secondsOf(text, 0.5, '0, or 0.5 to 3600 seconds');
}

function secondsOf(text: string, least: number, takes: string): number {
  const value = /^\d{1,9}(\.\d{1,9})?$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= least && value <= 3600)) throw new InvalidArgumentError(`It takes ${takes}.`);
  return value;
}
