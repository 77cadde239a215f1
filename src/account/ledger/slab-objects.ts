import { KernelError } from '../../kernel/error.js';
import { napiReserve } from '../../walk/pages/napi-reserve.js';
import type { SkbCache } from '../../walk/pages/skb-caches.js';
import { freeInCaches } from '../../walk/pages/slab-usage.js';
import type { Known, Step } from './pipeline.js';
import type { SlabCode } from './row.js';
import type { LedgerTools } from './tools.js';

/** Rows of the slab caches of skbs and their heads; that of skbs is always one of them. */
export function* slabRows(tools: LedgerTools): Generator<Step<SlabCode>> {
  const { skbCaches, noSkbCaches } = tools.seen;
  for (const cache of skbCaches)
    yield { code: cache.kind, count: (known) => slabObjects(tools, cache, known) };
  if (skbCaches.some(({ kind }) => kind === 'skbs')) return;
  const fail = () => {
    throw noSkbCaches ?? new KernelError('unsupported-layout', 'this kernel names none');
  };
  yield { code: 'skbs', count: fail };
}

/**
 * Objects that the slabs of a cache count as in use, less those that were met in sockets and rows
 * before, and those kept in reserve.
 *
 * @throws {KernelError}, {@link ReadError} where they cannot be counted
 */
function slabObjects(
  { kernel, seen }: LedgerTools,
  cache: SkbCache,
  known: Known,
): ReturnType<Step<SlabCode>['count']> {
  const count = seen.usage.count(cache.address);
  if (!seen.complete || !count) {
    throw new KernelError('damaged', 'not every slab of the dump could be looked at');
  }
  const used = count.inUse - freeInCaches(kernel, cache.address);
  const reserve = cache.kind === 'skbs' ? napiReserve(kernel) : 0;
  const met = known.slotsByCache().get(cache.address) ?? 0;
  const left = used - reserve - met;
  const figures = { used, reserve, met, left, merged: cache.merged };
  if (cache.merged) return { told: 'counted', objects: null, bytes: null, figures };
  if (left < 0) return { told: 'contradicted', figures };
  return { told: 'counted', objects: left, bytes: left * cache.size, figures };
}
