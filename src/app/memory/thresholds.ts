import { InvalidArgumentError } from 'commander';
import { type Category, leaves } from '../../account/memory/tree.js';
import { formatSize } from '../../base/size.js';
import { CATEGORIES, type CategoryName } from '../../records/categories.js';
import { parseSize } from '../kit/arguments.js';
import { EXIT } from '../kit/failure.js';

/** A limit of `--fail-on`, in bytes or as a share of all memory (0 to 1). */
export interface Threshold {
  readonly category: CategoryName;
  readonly limit: { readonly bytes: number } | { readonly share: number };
}

/** Parses `unattributed=10%` and `network-sockets=2G`, one of several. */
export function parseThreshold(text: string, previous: readonly Threshold[] = []): Threshold[] {
  const [, name, amount = ''] = /^([a-z-]+)=(.+)$/.exec(text) ?? [];
  const category = CATEGORIES.find((known) => known === name);
  if (category === undefined)
    throw new InvalidArgumentError(
      `It must be CATEGORY=SIZE or CATEGORY=PERCENT%, such as unattributed=10%. Categories: ${CATEGORIES.join(', ')}.`,
    );
  const percent = /^(\d{1,3}(?:\.\d{1,3})?)%$/.exec(amount)?.[1];
  if (percent !== undefined && Number(percent) > 100) throw new InvalidArgumentError('A share must be at most 100%.');
  const limit = percent === undefined ? { bytes: parseSize(amount) } : { share: Number(percent) / 100 };
  return [...previous, { category, limit }];
}

/** Exit status and a line for each limit that is exceeded, or of which that is unknown. */
export function checkThresholds(
  memory: Category,
  thresholds: readonly Threshold[],
): { readonly status: number | undefined; readonly lines: readonly string[] } {
  const all = leaves(memory);
  const lines: string[] = [];
  let status: number | undefined;
  for (const { category, limit } of thresholds) {
    const leaf = all.find((part) => part.category === category);
    const most = 'bytes' in limit ? limit.bytes : limit.share * memory.bytes;
    const words = `limit ${formatSize(Math.round(most))}`;
    if (leaf && leaf.bytes > most) {
      lines.push(`--fail-on: ${category} is ${formatSize(leaf.bytes)} (${words})`);
      status = EXIT.differs;
    } else if (!leaf?.complete) {
      const why = leaf?.why ?? 'this source counts it in other categories';
      lines.push(`--fail-on: ${category} is incomplete, and may exceed the ${words} (${why})`);
      status ??= EXIT.incomplete;
    }
  }
  return { status, lines };
}
