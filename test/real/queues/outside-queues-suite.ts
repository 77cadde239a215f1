import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { accountAll, type CensusAnswer } from '../../../src/account/sockets.js';
import type { NativeKernel } from '../../../src/kernel/native/kernel.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { netDevices } from '../../../src/walk/network/net-devices.js';
import { virtioNetMemory } from '../../../src/walk/network/virtqueues.js';
import { cpuFragPages, SendFrags } from '../../../src/walk/pages/page-frag-cache.js';
import { PageReader } from '../../../src/walk/pages/pages.js';
import { type PageVisitor, SlabScan } from '../../../src/walk/pages/slab-scan.js';
import { freeInCaches, SlabUsage } from '../../../src/walk/pages/slot-use.js';
import { StructReader } from '../../../src/walk/struct-reader.js';
import { TaskReader } from '../../../src/walk/tasks/tasks.js';
import { Warnings } from '../../../src/walk/warnings.js';
import { drgnJson } from '../../support/drgn.js';
import type { LabKernel } from '../../support/lab.js';
import { ledgerOf } from '../../support/ledger.js';

interface Drgn {
  readonly objects: Readonly<Record<string, { cache: string; allocated: number }>>;
  readonly inUse: Readonly<Record<string, number>>;
  readonly reserve: number;
  readonly waiting: number;
  readonly queued: number;
  readonly frags: readonly string[];
}

/** @param core a dump of that kernel by QEMU */
export function outsideQueuesSuite(dump: string, version: LabKernel, core: () => string): void {
  describe(`network memory outside sockets: ${dump}`, () => {
    let kernel: NativeKernel;
    let answer: CensusAnswer;
    let drgn: Drgn;

    beforeAll(() => {
      kernel = openNative({ files: [core()] });
      answer = accountAll(kernel);
      drgn = drgnJson(core(), version, new URL('outside-queues.py', import.meta.url));
    });
    afterAll(() => kernel.close());

    const row = (what: string) => {
      const rows = ledgerOf(answer);
      const found = rows.get(what);
      if (!found) throw new Error(`no row ${what} among ${[...rows.keys()]}`);
      return found;
    };

    test('the number of objects in use matches drgn’s count from the freelists', () => {
      const names = Object.keys(drgn.objects);
      expect(names).toEqual(expect.arrayContaining(['skbuff_head_cache', 'kmalloc-512', 'TCP']));
      const caches = new Map(names.map((name) => [name, BigInt(drgn.objects[name]?.cache ?? 0)]));
      const usage = new SlabUsage(kernel, caches.values());
      const look: PageVisitor = {
        slab: (cache, view, base) => usage.slab(cache, view, base),
        page: () => {},
        fetch: () => {},
        missed: () => {},
        ended: () => {},
      };
      for (const _ of new SlabScan(kernel, new Warnings()).slots(new Set(), { look }));
      for (const [name, cache] of caches) {
        const used = (usage.count(cache)?.inUse ?? 0) - freeInCaches(kernel, cache);
        expect(used, name).toBe(drgn.objects[name]?.allocated);
      }
    });

    test('every skb and small head in use is in a queue or a per-CPU cache', () => {
      for (const kind of Object.keys(drgn.inUse)) {
        expect(row(kind)).toMatchObject({ objects: 0, bytes: 0 });
        expect(row(kind).message).toMatch(new RegExp(`^${drgn.inUse[kind]} .* are allocated: `));
      }
      if (drgn.reserve > 0) expect(row('skbs').message).toContain(`${drgn.reserve} in per-CPU caches`);
    });

    test('the packets in CPU backlogs and qdiscs match their counters', () => {
      expect(row('cpu-queues').objects).toBe(drgn.waiting);
      expect(row('qdiscs').objects).toBe(drgn.queued);
    });

    test('pages of page-fragment caches match drgn', () => {
      const pages = new PageReader(kernel);
      const tasks = new TaskReader(kernel);
      const frags = new SendFrags(kernel);
      const found = [...cpuFragPages(kernel)];
      for (const process of tasks.processes()) {
        for (const thread of tasks.threads(process)) {
          const cached = frags.ofTask(thread.address);
          if (cached !== undefined) found.push(cached.page);
        }
      }
      const frames = new Set(found.map((page) => pages.block(page).frame));
      const heads = Array.from(frames, (frame) => `0x${kernel.pages.pageOfFrame(frame).toString(16)}`);
      expect(heads.sort()).toEqual(drgn.frags);
      expect(row('page-fragments').bytes).not.toBeNull();
    });

    test('a receive ring has the buffers that the driver added and the device has not used', () => {
      const [device] = [...netDevices(kernel)].filter(({ driver }) => driver === 'virtio_net');
      if (!device) throw new Error('the guest has no virtio_net device');
      const { buffers } = virtioNetMemory(kernel, device);
      expect(row('receive-rings virtio_net').bytes).not.toBeNull();
      // Modules of 5.10 have no type information.
      if (version === '5.10') return;
      const pointer = (address: bigint) => kernel.read(address, 8).getBigUint64(0, true);
      const info = new StructReader(kernel, 'virtnet_info', ['rq']).read(device.privateData);
      const queue = new StructReader(kernel, 'receive_queue', ['vq']).read(info.pointer('rq'));
      const ring = new StructReader(kernel, 'vring_virtqueue', ['split.vring.avail', 'last_used_idx']);
      const view = ring.read(queue.pointer('vq'));
      // struct vring_avail: flags, then the index of the last added buffer, both u16.
      const given = kernel.read(view.pointer('split.vring.avail') + 2n, 2).getUint16(0, true);
      const outstanding = (given - view.number('last_used_idx')) & 0xffff;
      expect(buffers).toHaveLength(outstanding);
      expect(outstanding).toBeGreaterThan(100);
      expect(pointer(device.privateData + 16n)).toBe(device.address);
    });
  });
}
