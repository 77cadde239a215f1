import { afterAll, describe, expect, test } from 'vitest';
import { accountAll } from '../../../src/account/sockets.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { PageReader } from '../../../src/walk/pages/pages.js';
import { orderOffset } from '../../../src/walk/pages/struct-page.js';
import { damagedKernel, type Patch } from '../../support/damaged-kernel.js';
import { LAB_KERNELS, labDump } from '../../support/lab.js';
import { littleEndian } from '../../support/little-endian.js';

describe.each(LAB_KERNELS)('what a second place says of %s', (version) => {
  const kernel = openNative({ files: [labDump(version).elf] });
  afterAll(() => kernel.close());
  const { sockets, warnings } = accountAll(kernel);
  const layout = kernel.struct('page')!;
  const ask = (...patches: Patch[]) => {
    const answer = accountAll(damagedKernel(kernel, { patches, denials: [] }));
    return answer.warnings.map(({ message }) => message).join('\n');
  };
  /** Socks that only slabs lead to. */
  const hidden = sockets.filter(({ foundBy }) => foundBy.length === 1 && foundBy[0] === 'slab');
  const offsetOf = (type: string, path: string) =>
    BigInt(kernel.struct(type)?.member(path)?.offset ?? Number.NaN);
  /** The first struct page of a queued compound page of four pages or more. */
  const compound = (() => {
    const pages = new PageReader(kernel);
    for (const { socket } of sockets) {
      const head = socket.sock + offsetOf('sock', 'sk_receive_queue');
      const skb = kernel.read(head, 8).getBigUint64(0, true);
      if (skb === head) continue;
      const data = kernel.read(skb + offsetOf('sk_buff', 'head'), 8).getBigUint64(0, true);
      const end = kernel.read(skb + offsetOf('sk_buff', 'end'), 4).getUint32(0, true);
      const info = data + BigInt(end);
      const frags = info + offsetOf('skb_shared_info', 'frags');
      if (kernel.read(info + offsetOf('skb_shared_info', 'nr_frags'), 1).getUint8(0) === 0)
        continue;
      const page = pages.block(kernel.read(frags, 8).getBigUint64(0, true));
      if (page.kind === 'page' && (page.order ?? 0) >= 2)
        return kernel.pages.pageOfFrame(page.frame);
    }
    throw new Error('no queue has a compound page');
  })();

  test('agrees with the first where nothing is damaged', () => {
    expect(warnings).toEqual([]);
    expect(hidden.length).toBeGreaterThan(0);
  });

  test.each([1, 6])('an order of %i that the tails belie is told', (order) => {
    const address = compound + BigInt(orderOffset(kernel, layout));
    expect(ask({ address, bytes: littleEndian(BigInt(order), 1) })).toContain('its tails differ');
  });

  test('a slab whose struct page is zeros is told', () => {
    const page = kernel.pages.pageOf(hidden[0]!.socket.sock) ?? 0n;
    const block = new PageReader(kernel).block(page);
    const address = kernel.pages.pageOfFrame(block.frame);
    expect(ask({ address, bytes: new Uint8Array(layout.size) })).toMatch(
      /counts \d+ slabs, \d+ were found/,
    );
  });

  test('a sock without a descriptor that lost its protocol is told', () => {
    const address = hidden[0]!.socket.sock + offsetOf('sock_common', 'skc_prot');
    expect(ask({ address, bytes: littleEndian(0x1234n, 8) })).toContain('its protocol is 0x1234');
  });
});
