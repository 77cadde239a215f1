const UNITS = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** Bytes for people, to three figures and in binary units: `0`, `812 B`, `63.7 KiB`, `1.68 MiB`. */
export function formatSize(bytes: number): string {
  if (bytes === 0) return '0';
  if (bytes < 1024) return `${bytes} B`;
  let value = bytes / 1024;
  let unit = 0;
  // 1023.5 would print as 1024: it belongs to the next unit.
  while (value >= 1023.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** A count with thousands separated, `1,462`. */
export function formatCount(count: number): string {
  // Intl would do the same, at 10 ms for its first use.
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** A share in percent; of something that is more than nothing `< 1 %`. */
export const percentWords = (value: number): string => (value > 0 && value < 0.5 ? '< 1 %' : `${Math.round(value)} %`);

/** A number of things: `1 socket`, `1,462 sockets`. */
export function count(number: number, noun: string, plural = `${noun}s`): string {
  return `${formatCount(number)} ${inflect(number, noun, plural)}`;
}

/** Returns the form of a noun, verb or pronoun that agrees with a number. */
export function inflect(number: unknown, singular: string, plural = `${singular}s`): string {
  return number === 1 ? singular : plural;
}
