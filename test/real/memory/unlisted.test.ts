import { afterAll, describe, expect, test } from 'vitest';
import { UnlistedPages } from '../../../src/account/memory/frame-checks.js';
import { accountMemory } from '../../../src/account/memory/memory.js';
import { kernelProcesses } from '../../../src/account/processes/kernel.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { cpuLists } from '../../../src/walk/memory/cpu-lists.js';
import { FrameMap } from '../../../src/walk/memory/frame-map.js';
import { scanFrames } from '../../../src/walk/memory/frame-scan.js';
import { batchedPages } from '../../../src/walk/memory/lru-batches.js';
import { KIND } from '../../../src/walk/memory/page-kinds.js';
import { ramRanges } from '../../../src/walk/memory/ram.js';
import { XarrayReader } from '../../../src/walk/xarray.js';
import { damagedKernel } from '../../support/damaged-kernel.js';
import { labDump } from '../../support/lab.js';
import { littleEndian } from '../../support/little-endian.js';

// Pages of processes that exited wait in batches of CPUs here, mapped by no process and on no list.
const kernel = openNative({ files: [labDump('newest').elf] });
afterAll(() => kernel.close());
const frames = new FrameMap(ramRanges(kernel));
const scan = scanFrames(kernel, frames);
const offset = (struct: string, path: string) =>
  BigInt(kernel.struct(struct)?.member(path)?.offset ?? Number.NaN);
const wordAt = (address: bigint) => kernel.read(address, 8).getBigUint64(0, true);

describe('pages on no list of those that were used last', () => {
  test('each is mapped, in a batch, or its file’s', () => {
    const unlisted = new UnlistedPages(kernel);
    expect(scan.unlisted.length).toBeGreaterThan(10);
    expect(scan.unlisted.filter((frame) => !unlisted.isExplained(frame))).toEqual([]);
    const batched = batchedPages(kernel);
    const inBatches = scan.unlisted.filter((frame) =>
      batched?.has(kernel.pages.pageOfFrame(frame)),
    );
    expect(inBatches.length).toBeGreaterThan(10);
  });

  test('a page of a batch without a reference makes an incomplete answer', () => {
    const [page = 0n] = batchedPages(kernel) ?? [];
    const patches = [{ address: page + offset('page', '_refcount'), bytes: littleEndian(0n, 4) }];
    const answer = accountMemory(damagedKernel(kernel, { patches, denials: [] }));
    expect(answer.warnings.map(({ message }) => message).join('\n')).toContain('have no reference');
    expect(answer.complete).toBe(false);
  });

  test('an unused page that got the mapping of an anonymous one makes an incomplete answer', () => {
    const anonymous = scan.kinds.indexOf(KIND.anonymous);
    const mappingOf = (page: bigint) => page + offset('page', 'mapping');
    const page = kernel.pages.pageOfFrame(frames.frameAt(anonymous));
    const listed = new Set<number>();
    for (const { frame, order } of cpuLists(kernel))
      for (let at = 0; at < 2 ** order; at++) listed.add(frame + at);
    const unused = scan.kinds.findIndex(
      (kind, index) => kind === KIND.unreferenced && !listed.has(frames.frameAt(index)),
    );
    expect(unused).toBeGreaterThan(-1);
    const victim = kernel.pages.pageOfFrame(frames.frameAt(unused));
    const patches = [
      { address: mappingOf(victim), bytes: littleEndian(wordAt(mappingOf(page)), 8) },
    ];
    const damaged = damagedKernel(kernel, { patches, denials: [] });
    expect(accountMemory(damaged).complete).toBe(false);
    expect(kernelProcesses(damaged).complete).toBe(false);
  });
});

test('each page of shared memory is in the xarray of its file, at its index alone', () => {
  const trees = new XarrayReader(kernel);
  const index = kernel.struct('page')?.member('index') ? 'index' : '__folio_index';
  let pages = 0;
  for (const [at, kind] of scan.kinds.entries()) {
    if (kind !== KIND.shmem) continue;
    const page = kernel.pages.pageOfFrame(frames.frameAt(at));
    const mapping = wordAt(page + offset('page', 'mapping'));
    const head = wordAt(mapping + offset('address_space', 'i_pages.xa_head'));
    const own = wordAt(page + offset('page', index));
    expect(trees.load(head, own)).toBe(page);
    expect(trees.load(head, own + 1n)).not.toBe(page);
    expect(trees.load(head, 2n ** 40n)).toBe(0n);
    pages++;
  }
  expect(pages).toBeGreaterThan(100);
});
