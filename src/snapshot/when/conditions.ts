/** When a snapshot is to be taken. */
export type Condition =
  /** Some tasks (`full`: all of them) waited for memory in so many percent of the last 10 s. */
  | { readonly kind: 'psi' | 'psi-full'; readonly percent: number }
  /** MemAvailable is less than that. */
  | { readonly kind: 'available'; readonly percent: number }
  | { readonly kind: 'available'; readonly bytes: number }
  /** The OOM killer has killed since the look before. */
  | { readonly kind: 'oom' };

/** What the words of a condition are, for who wrote others. */
export const CONDITION_FORMS = 'psi=20, psi-full=5, available=5%, available=500M, oom';

const UNITS: Readonly<Record<string, number>> = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/**
 * `psi=20,available=5%,oom`: words that no shell redirects.
 *
 * @returns undefined for words that are no conditions, or that are there twice
 */
export function parseConditions(text: string): readonly Condition[] | undefined {
  const conditions = text.split(',').map((word) => conditionOf(word.trim()));
  const known = conditions.filter((condition) => condition !== undefined);
  const kinds = new Set(known.map(({ kind }) => kind));
  return kinds.size === conditions.length ? known : undefined;
}

function conditionOf(word: string): Condition | undefined {
  if (word === 'oom') return { kind: 'oom' };
  const [, kind, digits = '', unit = ''] =
    /^(psi|psi-full|available)=(\d{1,12}(?:\.\d{1,3})?)([%kmgtKMGT]?)$/.exec(word) ?? [];
  const number = Number(digits);
  const isPercent = number > 0 && number <= 100;
  if (kind === 'psi' || kind === 'psi-full')
    return isPercent && /^%?$/.test(unit) ? { kind, percent: number } : undefined;
  if (kind !== 'available' || number === 0) return undefined;
  if (unit === '%') return isPercent ? { kind, percent: number } : undefined;
  const scale = UNITS[unit.toLowerCase()];
  return scale === undefined ? undefined : { kind, bytes: Math.floor(number * scale) };
}
