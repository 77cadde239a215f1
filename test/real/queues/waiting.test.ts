import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { accountAll, type CensusAnswer } from '../../../src/account/sockets.js';
import { hex } from '../../../src/base/util.js';
import type { Kernel } from '../../../src/kernel/kernel.js';
import type { NativeKernel } from '../../../src/kernel/native/kernel.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { neighbourSkbs } from '../../../src/walk/network/neighbours.js';
import { netDevices } from '../../../src/walk/network/net-devices.js';
import { fragmentSkbs } from '../../../src/walk/network/reassembly.js';
import { NapiReader } from '../../../src/walk/network/softnet.js';
import { DeviceKinds, TunReader } from '../../../src/walk/network/software-rings.js';
import { SkbLists } from '../../../src/walk/queues/skb-lists.js';
import { drgnJson } from '../../support/drgn.js';
import { LAB, LabMissing, ofRun } from '../../support/lab.js';
import { ledgerOf } from '../../support/ledger.js';

interface Role {
  readonly role: string;
  readonly skbs: number;
}

const gro = (kernel: Kernel, lists: SkbLists) => {
  const reader = new NapiReader(kernel, lists);
  return [...netDevices(kernel)].flatMap((device) => [...reader.ofDevice(device)]);
};

const tun = (kernel: Kernel, lists: SkbLists) => {
  const reader = new TunReader(kernel, lists);
  const kinds = new DeviceKinds(kernel);
  const taps = [...netDevices(kernel)].filter((device) => kinds.of(device) === 'tun');
  return taps.flatMap((device) => reader.ofDevice(device).skbs);
};

/** See waiting.py. */
interface Drgn {
  readonly skbs: Readonly<Record<string, readonly string[]>>;
  readonly xdp: { readonly rings: number; readonly pages: number };
}

/**
 * Rows of packets queued outside sockets, the functions that walk them, the guest's names for them,
 * and the minimum that they pin, in bytes.
 */
const PLACES = [
  ['ip-fragments', fragmentSkbs, ['fragments-v4', 'fragments-v6', 'fragments-netfilter'], 96_000],
  ['neighbours', neighbourSkbs, ['neighbours-v4', 'neighbours-v6'], 42_000],
  // A merged packet may be in a page of a socket.
  ['gro', gro, ['gro'], 512],
  ['rings tun', tun, ['tun'], 17_000],
] as const;

describe.each(['6.1', 'newest'] as const)('packets queued outside sockets on %s', (version) => {
  const folder = join(LAB, 'dumps', `${version}-families`);
  const core = join(folder, 'elf.vmcore');
  let roles: readonly Role[] = [];
  let kernel: NativeKernel;
  let answer: CensusAnswer;
  let drgn: Drgn['skbs'];
  let drgnXdp: Drgn['xdp'];

  beforeAll(() => {
    try {
      roles = JSON.parse(readFileSync(join(folder, 'truth.json'), 'utf8')).roles;
    } catch {
      throw new LabMissing(folder, `dump ${version}-families`);
    }
    kernel = openNative({ files: [core] });
    answer = accountAll(kernel);
    ({ skbs: drgn, xdp: drgnXdp } = drgnJson<Drgn>(core, version, new URL('waiting.py', import.meta.url)));
  });
  afterAll(() => kernel.close());

  describe.each(PLACES)('%s', (what, walk, names, least) => {
    test('the count is the number that the guest sent', () => {
      for (const name of names) {
        const said = roles.find(({ role }) => role === name)?.skbs;
        // Before 6.6 no program in the guest makes netfilter reassemble packets.
        if (name === 'fragments-netfilter' && version === '6.1') expect(said).toBeUndefined();
        else expect(said, name).toBeGreaterThan(1);
        expect(drgn[name], name).toHaveLength(said ?? 0);
      }
    });

    test('the skbs match drgn', () => {
      const found = Array.from(walk(kernel, new SkbLists(kernel)), hex);
      expect(found.sort()).toEqual(names.flatMap((name) => drgn[name] ?? []).sort());
    });

    test('the packets pin more memory than their payload', () => {
      const row = ledgerOf(answer).get(what);
      expect(row?.objects).toBe(names.flatMap((name) => drgn[name] ?? []).length);
      expect(row?.bytes).toBeGreaterThan(least);
    });
  });

  test('rings of AF_XDP sockets count with their pages', () => {
    const row = ledgerOf(answer).get('xdp-rings');
    expect(drgnXdp.rings).toBe(5);
    expect(row).toMatchObject({ objects: drgnXdp.rings, bytes: drgnXdp.pages * 4096 });
    const vmalloced = version === 'newest' ? drgnXdp.rings : 0;
    expect(row?.message).toMatch(new RegExp(`, ${vmalloced} of them in vmalloc areas\\.$`));
  });
});

// Its modules have no type information, and the guest has a tun device.
test.each(ofRun(['5.10']))(
  'on %s rings of tun devices are reported as unknown, and later rows are still known',
  (dump) => {
    const kernel = openNative({ files: [join(LAB, 'dumps', dump, 'elf.vmcore')] });
    const rows = ledgerOf(accountAll(kernel));
    kernel.close();
    expect(rows.get('rings tun')).toMatchObject({ objects: null, bytes: null });
    expect(rows.get('rings tun')?.message).toMatch(/^Rings of tun0 \(tun\): not counted, /);
    expect(rows.get('skbs')?.objects).toBe(0);
    expect(rows.get('other-pages')?.objects).toBeGreaterThan(0);
  },
);
