import { InvalidArgumentError } from 'commander';

/** `30`, `30s`, `10m`, `2h`, `1d` in seconds. */
export function parseTime(text: string): number {
  const parts = /^(\d{1,9}(?:\.\d{1,3})?)([smhd]?)$/.exec(text);
  if (!parts) throw new InvalidArgumentError('It takes a time: 30, 30s, 10m, 2h, 1d.');
  return Number(parts[1]) * { s: 1, m: 60, h: 3600, d: 86_400, '': 1 }[parts[2] as 's' | '']!;
}
