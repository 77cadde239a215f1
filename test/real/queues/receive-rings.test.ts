import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { NativeKernel } from '../../../src/kernel/native/kernel.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { listNodes } from '../../../src/walk/list.js';
import { type NetDevice, netDevices } from '../../../src/walk/network/net-devices.js';
import { receiveBuffers, virtioNetMemory } from '../../../src/walk/network/virtqueues.js';
import type { PageBlock } from '../../../src/walk/pages/block.js';
import { PageReader } from '../../../src/walk/pages/pages.js';
import { StructReader } from '../../../src/walk/struct-reader.js';
import { memoryOf } from '../../support/damaged-kernel.js';
import { LAB, ofRun } from '../../support/lab.js';
import { ledgerOf } from '../../support/ledger.js';
import { pageMemory } from '../sockets/page-memory.js';

/** Modules of the first kernel have no type information; all cut their buffers from pages. */
describe.each(ofRun(['5.10', '6.1', '6.12'] as const))('receive rings of a virtio device: %s', (version) => {
  let kernel: NativeKernel;
  let device: NetDevice;
  let pages: PageReader;

  beforeAll(() => {
    kernel = openNative({ files: [join(LAB, 'dumps', version, 'elf.vmcore')] });
    pages = new PageReader(kernel);
    const found = [...netDevices(kernel)].find(({ driver }) => driver === 'virtio_net');
    if (!found) throw new Error('the guest has no virtio_net device');
    device = found;
  });
  afterAll(() => kernel.close());

  const allocation = (page: bigint | undefined): PageBlock => {
    const block = pages.block(page ?? 0n);
    if (block.kind === 'slab') throw new Error('a buffer lies in a slab');
    return block;
  };

  test('parsed by the specification, they hold the same buffers and pages as by types', () => {
    const { buffers, pages: cut } = virtioNetMemory(kernel, device);
    const found = receiveBuffers(kernel, device.parent);
    expect(found).toEqual(buffers);
    expect(found.length).toBeGreaterThan(100);
    const frames = new Set(found.map((buffer) => allocation(kernel.pages.pageOf(buffer)).frame));
    for (const page of cut) expect(frames).toContain(allocation(page).frame);
  });

  test('together hold every page reference without an skb, one of them for the next buffers', () => {
    const { answer, drgn } = pageMemory(version, version, 'skbs');
    const ofSkbs = new Set(drgn.map(([frame]) => frame));
    const found = new Map<number, { block: PageBlock; buffers: number }>();
    for (const buffer of receiveBuffers(kernel, device.parent)) {
      const block = allocation(kernel.pages.pageOf(buffer));
      if (ofSkbs.has(block.frame)) continue;
      const buffers = (found.get(block.frame)?.buffers ?? 0) + 1;
      found.set(block.frame, { block, buffers });
    }
    expect(found.size).toBeGreaterThan(5);
    const others = [...found.values()].map(({ block, buffers }) => block.references - buffers);
    expect(others.toSorted((a, b) => b - a)).toEqual([1, ...others.slice(1).fill(0)]);
    const frames = [...found.values()].reduce((sum, { block }) => sum + 2 ** (block.order ?? 0), 0);
    const row = ledgerOf(answer).get('receive-rings virtio_net');
    expect(row).toMatchObject({ objects: found.size, bytes: frames * kernel.facts.pageSize });
  });

  test('does not count an inconsistent ring', () => {
    const card = new StructReader(kernel, 'virtio_device', ['dev', 'id.device', 'vqs']);
    const view = card.read(device.parent - BigInt(card.offset('dev')));
    const vq = new StructReader(kernel, 'virtqueue', ['list', 'name', 'vdev', 'num_free']);
    // The first of the list is input.0; its ring is the first power of two after it.
    const node = [...listNodes(kernel, view.addressOf('vqs'))][0] ?? 0n;
    const queue = vq.read(node - BigInt(vq.offset('list')));
    const vring = ((from) => {
      for (let at = from; ; at += 8n) {
        if (kernel.read(at, 4).getUint32(0, true) === 256) return at;
      }
    })(queue.address + BigInt(vq.size));
    const { read, set, damagedBy } = memoryOf(kernel);
    const avail = read(vring + 16n);
    const desc = read(vring + 8n);
    const states = read(vring + 40n);
    // A returned descriptor keeps its flags: only its state shows that it holds a buffer.
    const held = Array.from({ length: 256 }, (_, entry) => entry).find(
      (entry) => read(states + BigInt(16 * entry)) !== 0n,
    );
    if (held === undefined) throw new Error('the ring holds no buffer');
    for (const [address, value, bytes, reason] of [
      [view.addressOf('id.device'), 2n, 4, 'not a virtio network device'],
      [queue.addressOf('vdev'), 8n, 8, 'belongs to another device'],
      [queue.pointer('name'), 0n, 1, 'no virtqueue named input'],
      [queue.addressOf('num_free'), 300n, 4, 'descriptors'],
      [vring, 3n, 4, 'no split ring'],
      [vring + 16n, avail + 2n, 8, 'no split ring'],
      [vring + 24n, avail, 8, 'no split ring'],
      [avail + 2n, 0n, 2, 'no split ring'],
      [desc + BigInt(16 * held + 12), 0n, 2, 'unsupported entries'],
    ] as const) {
      const damaged = damagedBy(set(address, bytes, value));
      expect(() => receiveBuffers(damaged, device.parent), reason).toThrow(reason);
    }
  });
});
