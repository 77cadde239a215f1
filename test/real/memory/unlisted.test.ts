import { describe, expect, test } from 'vitest';
import { UnlistedPages } from '../../../src/account/memory/frame-checks.js';
import { accountMemory } from '../../../src/account/memory/memory.js';
import { kernelProcesses } from '../../../src/account/processes/kernel.js';
import { Pointer } from '../../../src/kernel/pointer.js';
import { needSymbol, perCpuAddress } from '../../../src/walk/cpus.js';
import { scanFrames } from '../../../src/walk/memory/frame-scan.js';
import { FrameMap } from '../../../src/walk/memory/page-array.js';
import { KIND } from '../../../src/walk/memory/page-kinds.js';
import { ramRanges } from '../../../src/walk/memory/ram.js';
import { batchedPages, cpuLists } from '../../../src/walk/memory/zones.js';
import { XarrayReader } from '../../../src/walk/trees.js';
import type { Damage } from '../../support/damaged-kernel.js';
import { dumpKernel } from '../../support/opened-kernel.js';

const { kernel, has, addressOf, read, set, damagedBy } = dumpKernel('newest');
const frames = new FrameMap(ramRanges(kernel));
const scan = scanFrames(kernel, frames);

const framesOf = (kind: number) =>
  [...scan.kinds].flatMap((own, index) => (own === kind ? [frames.frameAt(index)] : []));

/** Damage that makes a page the only one in a batch of CPU 0, whatever the boot left there. */
function batchOf(page: bigint): readonly Damage[] {
  const batch = addressOf(perCpuAddress(kernel, needSymbol(kernel, 'cpu_fbatches'), 0), 'cpu_fbatches.lru_add');
  return [set(batch, 'folio_batch.nr', 1n), set(batch, 'folio_batch.folios', page)];
}

describe('pages on no LRU list', () => {
  test('each is mapped, in a batch, or in its file', () => {
    const unlisted = new UnlistedPages(kernel);
    expect(scan.missingFromLru.filter((frame) => !unlisted.isExplained(frame))).toEqual([]);
    for (const batched of batchedPages(kernel) ?? [])
      expect(unlisted.isExplained(kernel.pages.frameOfPage(new Pointer(batched)))).toBe(true);
    // The number of missing pages depends on the batches at the time of the dump: the explanation
    // holds for all. The first member of `lru` overlaps the word with the head pointer, with bit 0
    // set, in a tail.
    const isTail = (frame: number) => (read(kernel.pages.pageOfFrame(frame), 'page.lru') & 1n) === 1n;
    const cached = [...framesOf(KIND.file), ...framesOf(KIND.shmem)].filter((frame) => !isTail(frame));
    expect(cached.length).toBeGreaterThan(100);
    expect(cached.filter((frame) => !unlisted.isExplained(frame))).toEqual([]);
  });

  test('a page without a file is explained by a batch only if it has a reference', () => {
    const [frame = 0] = framesOf(KIND.held);
    const page = kernel.pages.pageOfFrame(frame);
    expect(new UnlistedPages(kernel).isExplained(frame)).toBe(false);
    const batched = damagedBy(...batchOf(page));
    expect(new UnlistedPages(batched).isExplained(frame)).toBe(true);
    const answer = accountMemory(damagedBy(...batchOf(page), set(page, 'page._refcount', 0n)));
    expect(answer.warnings.map(({ message }) => message).join('\n')).toContain('have no reference');
    expect(answer.complete).toBe(false);
  });

  test('an unused page with the mapping of an anonymous one makes the answer incomplete', () => {
    const anonymous = scan.kinds.indexOf(KIND.anonymous);
    const page = kernel.pages.pageOfFrame(frames.frameAt(anonymous));
    const listed = new Set<number>();
    for (const { frame, order } of cpuLists(kernel)) for (let at = 0; at < 2 ** order; at++) listed.add(frame + at);
    const unused = scan.kinds.findIndex(
      (kind, index) => kind === KIND.unreferenced && !listed.has(frames.frameAt(index)),
    );
    expect(unused).toBeGreaterThan(-1);
    const victim = kernel.pages.pageOfFrame(frames.frameAt(unused));
    const damaged = damagedBy(set(victim, 'page.mapping', read(page, 'page.mapping')));
    expect(accountMemory(damaged).complete).toBe(false);
    expect(kernelProcesses(damaged).complete).toBe(false);
  });
});

test('each page of shared memory is in the xarray of its file, at its index only', () => {
  const trees = new XarrayReader(kernel);
  const index = has('page.index') ? 'index' : '__folio_index';
  let pages = 0;
  for (const [at, kind] of scan.kinds.entries()) {
    if (kind !== KIND.shmem) continue;
    const page = kernel.pages.pageOfFrame(frames.frameAt(at));
    const mapping = read(page, 'page.mapping');
    const head = read(mapping, 'address_space.i_pages.xa_head');
    const own = read(page, `page.${index}`);
    expect(trees.load(head, own)).toBe(page);
    expect(trees.load(head, own + 1n)).not.toBe(page);
    expect(trees.load(head, 2n ** 40n)).toBe(0n);
    pages++;
  }
  expect(pages).toBeGreaterThan(100);
});
