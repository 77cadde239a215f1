import { InvalidArgumentError } from 'commander';
import { bytesOf, DURATION_FORMS, SIZE_FORMS, secondsOf } from '../../base/quantity.js';
import { parsePlace, type WrittenPlace } from '../../walk/values/place.js';

/** Options of a command, from the function that declares them. */
export type OptionsOf<Declare extends (...given: never[]) => { opts(): unknown }> = ReturnType<
  ReturnType<Declare>['opts']
>;

/** Returns a parser for integers up to a maximum. */
export function parseUpTo(most: number): (text: string) => number {
  return (text) => {
    const number = parseNumber(text);
    if (number > most) throw new InvalidArgumentError(`It must be at most ${most}.`);
    return number;
  };
}

/** Number of decimal digits that a JavaScript number represents exactly. */
const MAX_DIGITS = 15;

/**
 * Parses a decimal integer. NaN for anything else, and for more digits than a JavaScript number represents
 * exactly.
 */
export function decimal(text: string): number {
  return /^\d+$/.test(text) && text.length <= MAX_DIGITS ? Number(text) : Number.NaN;
}

/** Parses an argument that is a count or a number (also a pid or fd): decimal, as the shell shows it. */
export function parseNumber(text: string): number {
  const number = decimal(text);
  if (!Number.isNaN(number)) return number;
  if (text.startsWith('--')) throw new InvalidArgumentError('Its value is missing (a whole number).');
  const hex = /^0x[0-9a-f]{1,12}$/i.test(text) ? `, in decimal: ${Number(text)}` : '';
  throw new InvalidArgumentError(`It must be a whole number${hex}.`);
}

/** Parses a number of bytes: decimal or 0x hex, with k, M, G or T for binary units. */
export function parseSize(text: string): number {
  const bytes = bytesOf(text);
  if (bytes === undefined) throw new InvalidArgumentError(`It must be a number of bytes: ${SIZE_FORMS}.`);
  return bytes;
}

/**
 * Returns a parser for sizes with a minimum.
 *
 * @param least bytes
 * @param takes the minimum in words, for the error message
 */
export function sizeFrom(least: number, takes: string): (text: string) => number {
  return (text) => {
    const bytes = parseSize(text);
    if (bytes < least) throw new InvalidArgumentError(`It must be ${takes}.`);
    return bytes;
  };
}

/** Parses `30`, `500ms`, `1.5s`, `10m`, `2h`, `1d`; returns seconds. */
export function parseTime(text: string): number {
  const seconds = secondsOf(text);
  if (seconds === undefined) throw new InvalidArgumentError(`It must be a time: ${DURATION_FORMS}.`);
  return seconds;
}

/**
 * Returns a parser for times within bounds.
 *
 * @param least seconds, as is `most`
 * @param takes the bounds in words, for the error message
 */
export function timeWithin(least: number, most: number, takes: string): (text: string) => number {
  return (text) => {
    const seconds = parseTime(text);
    if (!(seconds >= least && seconds <= most)) throw new InvalidArgumentError(`It must be ${takes}.`);
    return seconds;
  };
}

/** Parses the time between two samples. In less than half a second even a healthy process may do nothing. */
export const parseInterval = timeWithin(0.5, 3600, '0.5 to 3600 seconds');

/** Parses a shorter interval, for commands that derive a trend from many samples instead of comparing two. */
export const parseShortInterval = timeWithin(0.1, 3600, '0.1 to 3600 seconds');

/** Parses an interval, or 0 for a single sample. */
export function parseIntervalOrNone(text: string): number {
  if (parseTime(text) === 0) return 0;
  return timeWithin(0.5, 3600, '0, or 0.5 to 3600 seconds')(text);
}

/** Parses an argument that names a memory location. */
export function parseWritten(text: string): WrittenPlace {
  const written = parsePlace(text);
  if (!written) {
    throw new InvalidArgumentError('It must be ADDR (hex), SYMBOL or SYMBOL:CPU, with +OFFSET.');
  }
  return written;
}

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** Parses an address and port to listen on. */
export function parseListen(text: string): ListenAddress {
  const match = /^(?:(\d+\.\d+\.\d+\.\d+|localhost)|\[([0-9a-f:]+)\]):(\d{1,5})$/i.exec(text);
  const port = Number(match?.[3]);
  if (!match || port > 65_535)
    throw new InvalidArgumentError('It must be an address and a port: 127.0.0.1:9700, [::1]:9700.');
  return { host: match[1] ?? match[2] ?? '', port };
}
