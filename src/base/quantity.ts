/** Duration formats, for error messages. */
export const DURATION_FORMS = '30, 1.5, 500ms, 90s, 10m, 2h, 1d';

/** Size formats, for error messages. */
export const SIZE_FORMS = '4096, 0x1000, 64k, 1.5M, 2GiB';

const NANOSECONDS = {
  '': 10n ** 9n,
  ms: 10n ** 6n,
  s: 10n ** 9n,
  m: 60n * 10n ** 9n,
  h: 3600n * 10n ** 9n,
  d: 86_400n * 10n ** 9n,
} as const;

/** Parses a duration in nanoseconds: seconds without a unit, with at most nine decimal places. Undefined: malformed. */
export function nanosecondsOf(text: string): bigint | undefined {
  const parts = /^(\d{1,10})(?:\.(\d{1,9}))?(ms|[smhd]?)$/.exec(text);
  if (!parts) return undefined;
  const [, integer = '', part = '', unit = ''] = parts;
  const scaled = BigInt(integer + part.padEnd(9, '0')) * NANOSECONDS[unit as keyof typeof NANOSECONDS];
  return scaled / 10n ** 9n;
}

/** Parses a duration in seconds. */
export function secondsOf(text: string): number | undefined {
  const nanoseconds = nanosecondsOf(text);
  return nanoseconds === undefined ? undefined : Number(nanoseconds) / 1e9;
}

const POWERS = ['', 'k', 'm', 'g', 't'];

/** Larger than any memory or file: 4 PiB. */
const MAX_BYTES = 2 ** 52;

/**
 * Parses a size in bytes, with k, M, G or T (KiB, MiB …) for binary units. Undefined: malformed, a
 * fraction without a unit (0.5), or beyond 2^52.
 */
export function bytesOf(text: string): number | undefined {
  const parts = /^(0x[0-9a-f]{1,13}|\d{1,16}(?:\.\d{1,9})?) ?(?:([kmgt])(?:i?b)?|b)?$/i.exec(text);
  if (!parts) return undefined;
  const [, digits = '', unit = ''] = parts;
  const power = POWERS.indexOf(unit.toLowerCase());
  if (power === 0 && digits.includes('.')) return undefined;
  const bytes = Math.floor(Number(digits) * 1024 ** power);
  return bytes <= MAX_BYTES ? bytes : undefined;
}
