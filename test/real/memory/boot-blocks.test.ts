import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { accountMemory } from '../../../src/account/memory/memory.js';
import { memoryJson } from '../../../src/answers/memory/json.js';
import { type CategoryJson, memorySchema } from '../../../src/contracts/memory.js';
import type { NativeKernel } from '../../../src/kernel/native/kernel.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { blockRequestFrames, devicesOf } from '../../../src/walk/memory/block-requests.js';
import { memoryOf } from '../../support/damaged-kernel.js';
import { drgnJson } from '../../support/drgn.js';
import { LAB, type LabKernel, ofRun, PANICKED_KERNELS } from '../../support/lab.js';

// Blocks that drivers and tables allocated at boot. x86_64 guests have the same devices, and the
// debug information of some lab kernels lacks the types of their modules.
const CASES: readonly (readonly [dump: string, kernel: LabKernel, like: string])[] = [
  ['5.10', '5.10', '6.12'],
  ['6.1', '6.1', '6.12'],
  ['6.12', '6.12', '6.12'],
  ['newest', 'newest', 'newest'],
  ['newest-numa', 'newest', 'newest-numa'],
  ['6.12-arm64-16k', '6.12-arm64-16k', '6.12-arm64-16k'],
];

const opened: NativeKernel[] = [];
afterAll(() => {
  for (const kernel of opened) kernel.close();
});
const core = (dump: string) => join(LAB, 'dumps', dump, 'elf.vmcore');
const open = (dump: string) => {
  const kernel = openNative({ files: [core(dump)] });
  opened.push(kernel);
  return kernel;
};

interface Blocks {
  readonly rings: number | null;
  readonly types: number;
  readonly requests: number;
}
const said = new Map<string, Blocks>();
const drgn = (dump: string, kernel: LabKernel): Blocks => {
  const script = new URL('boot-blocks.py', import.meta.url);
  const known = said.get(dump) ?? drgnJson<Blocks>(core(dump), kernel, script);
  said.set(dump, known);
  return known;
};

/** Page frames of an owner in a category; and whether the kernel marks large kmallocs. */
function ask(kernel: NativeKernel) {
  const answer = memorySchema.parse(memoryJson(accountMemory(kernel)));
  const all: CategoryJson[] = [];
  const visit = (category: CategoryJson): void => {
    all.push(category);
    category.children.forEach(visit);
  };
  visit(answer.memory);
  const frames = (name: string) => {
    const owner = all.flatMap(({ owners }) => owners).find((one) => one.name === name);
    return (owner?.bytes ?? 0) / kernel.facts.pageSize;
  };
  const large = all.find(({ category }) => category === 'large-kmalloc')?.bytes ?? 0;
  return { answer, frames, tellsLarge: large > 0 };
}

describe.each(CASES.filter(([dump, , like]) => ofRun([dump, like]).length === 2))('%s', (dump, kernel, like) => {
  const { frames, tellsLarge } = ask(open(dump));

  test('virtio rings include those of all devices, each with its allocated size', () => {
    const { rings } = drgn(like, like === dump ? kernel : '6.12');
    expect(rings).toBeGreaterThan(10);
    expect(frames('virtio')).toBe(rings);
  });

  test('the BTF of the kernel is attributed to its end, or to large kmallocs', () => {
    const { types } = drgn(dump, kernel);
    // 5.10 allocates it in the vmalloc area.
    expect(types > 10).toBe(dump !== '5.10');
    expect(frames('btf_vmlinux')).toBe(tellsLarge ? 0 : types);
  });
});

// These guests have a disk: on 5.10 its requests are larger, and use 1 % of a guest of 512 MiB.
test.each(PANICKED_KERNELS)('requests of block devices include those of all queues: %s', (kernel) => {
  const dump = `${kernel}-kdump`;
  const pages = kernel === '5.10' ? 1184 : 64;
  const opened = open(dump);
  const { frames, answer } = ask(opened);
  expect(answer.warnings).toEqual([]);
  expect(drgn(dump, kernel).requests).toBe(pages);
  expect(frames('block requests')).toBe(pages);
});

test('a corrupt list of requests makes the answer incomplete', () => {
  const kernel = open('6.1-kdump');
  const [frame = 0] = blockRequestFrames(kernel);
  const page = kernel.pages.pageOfFrame(frame);
  const { addressOf, set, damagedBy } = memoryOf(kernel);
  const { answer } = ask(damagedBy(set(page, 'page.lru', addressOf(page, 'page.lru'))));
  expect(answer.complete).toBe(false);
});

test('a virtqueue of another device than its list makes the answer incomplete', () => {
  const kernel = open('newest');
  const { frames } = ask(kernel);
  const device = firstVirtqueue(kernel);
  const { set, damagedBy } = memoryOf(kernel);
  const damaged = ask(damagedBy(set(device, 8, device)));
  expect(damaged.answer.complete).toBe(false);
  expect(damaged.frames('virtio')).toBeLessThan(frames('virtio'));
});

/** Address of `vdev` in the first virtqueue of the walk. */
function firstVirtqueue(kernel: NativeKernel): bigint {
  const { addressOf, offset, read } = memoryOf(kernel);
  for (const device of devicesOf(kernel, 'bus', 'virtio')) {
    const head = addressOf(device - offset('virtio_device.dev'), 'virtio_device.vqs');
    const first = read(head);
    if (first !== head) return addressOf(first - offset('virtqueue.list'), 'virtqueue.vdev');
  }
  throw new Error('no device has a virtqueue');
}
