import { InvalidArgumentError } from 'commander';

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** An argument that is a number of bytes: decimal or 0x hex, with k, M or G for binary units. */
export function parseSize(text: string): number {
  const { digits, unit } =
    /^(?<digits>0x[0-9a-f]{1,13}|\d{1,16})(?<unit>[kmg]?)$/i.exec(text)?.groups ?? {};
  const bytes = Number(digits) * (UNITS[unit?.toLowerCase() ?? ''] ?? Number.NaN);
  if (!(bytes <= 2 ** 52))
    throw new InvalidArgumentError('It must be a number of bytes, such as 256, 0x1000 or 4k.');
  return bytes;
}
