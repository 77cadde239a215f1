import { bytesOf } from '../../../base/quantity.js';

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
  const [, kind, figure = ''] = /^(psi|psi-full|available)=([^ ]{1,32})$/.exec(word) ?? [];
  const percent = Number(/^(\d{1,3}(?:\.\d{1,3})?)%?$/.exec(figure)?.[1]);
  const isPercent = percent > 0 && percent <= 100;
  if (kind === 'psi' || kind === 'psi-full') return isPercent ? { kind, percent } : undefined;
  if (kind !== 'available') return undefined;
  if (figure.endsWith('%')) return isPercent ? { kind, percent } : undefined;
  // A number alone may be meant as a percentage.
  const bytes = /[a-z]$/i.test(figure) ? bytesOf(figure) : undefined;
  return bytes ? { kind, bytes } : undefined;
}
