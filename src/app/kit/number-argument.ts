import { InvalidArgumentError } from 'commander';

/** The same up to a bound. */
export function parseUpTo(most: number): (text: string) => number {
  return (text) => {
    const number = parseNumber(text);
    if (number > most) throw new InvalidArgumentError(`It must be ${most} at most.`);
    return number;
  };
}

/** Digits that a number of JavaScript holds exactly. */
const MOST_DIGITS = 15;

/** A whole number in decimal; NaN for anything else, and for more than a number holds exactly. */
export function decimal(text: string): number {
  return /^\d+$/.test(text) && text.length <= MOST_DIGITS ? Number(text) : Number.NaN;
}

/** An argument that counts or numbers something (pids and fds too): decimal, as the shell shows it. */
export function parseNumber(text: string): number {
  const number = decimal(text);
  if (!Number.isNaN(number)) return number;
  if (text.startsWith('--'))
    throw new InvalidArgumentError('Its value is missing: a whole number.');
  const hex = /^0x[0-9a-f]{1,12}$/i.test(text) ? `, in decimal: ${Number(text)}` : '';
  throw new InvalidArgumentError(`It must be a whole number${hex}.`);
}
