import { describe, expect, test } from 'vitest';
import { messages } from '../../../src/account/log.js';
import { openRing, slotOf } from '../../../src/walk/log/slot.js';
import { fieldsOf } from '../../../src/walk/machine/fields.js';
import { ofRun } from '../../support/lab.js';
import { dumpKernel } from '../../support/opened-kernel.js';

describe.each(ofRun(['5.10', 'newest'] as const))('%s: one wrong byte of the log', (name) => {
  const { kernel, addressOf, offset, set, damagedBy } = dumpKernel(name);
  const ring = openRing(kernel, fieldsOf(kernel));
  const sound = messages(kernel, {});
  const texts = ({ records }: typeof sound) => records.map(({ seq, timestamp, text }) => `${seq} ${timestamp} ${text}`);

  /** The answer with one byte at an address changed. */
  const changed = (address: bigint, change: (byte: number) => number) => {
    const byte = kernel.read(address, 1).getUint8(0);
    return messages(damagedBy(set(address, 1, BigInt(change(byte) & 255))), {});
  };
  /** A byte of the descriptor, or of the info, of a message in the middle of the log. */
  const places = [20, 100, 200].map((back) => slotOf(ring, ring.head - BigInt(back)));
  const inDescriptor = (slot: bigint, byte: number) =>
    ring.descriptors + slot * BigInt(ring.descriptorSize) + BigInt(byte);
  const inInfo = (slot: bigint, byte: number) => ring.infos + slot * BigInt(ring.infoSize) + BigInt(byte);
  const flips = [(byte: number) => byte ^ 1, (byte: number) => byte ^ 0x80, () => 0, () => 255];

  /** Wrong text must not be complete. */
  function isSeen(address: bigint): string[] {
    return flips.flatMap((flip) => {
      const answer = changed(address, flip);
      const same = JSON.stringify(texts(answer)) === JSON.stringify(texts(sound));
      return same || !answer.complete ? [] : [`byte at ${address} ${flip}`];
    });
  }

  test('in a descriptor: id and state, begin and end of the text', () => {
    for (const slot of places) {
      for (let byte = 0; byte < ring.descriptorSize; byte++) expect(isSeen(inDescriptor(slot, byte))).toEqual([]);
    }
  });

  test('in a message number or a text length', () => {
    for (const slot of places) {
      for (let byte = 0; byte < 8; byte++) expect(isSeen(inInfo(slot, ring.seq + byte))).toEqual([]);
      expect(isSeen(inInfo(slot, ring.textLength + 1))).toEqual([]);
      if (name === '5.10') continue;
      for (const by of [1, 2, 3, 5, 8, 11, 40]) {
        for (const sign of [1, -1]) {
          const answer = changed(inInfo(slot, ring.textLength), (byte) => byte + sign * by);
          // Two more bytes repeat the end of the text, from before it was moved over its prefix.
          if (by * sign !== 2) expect(answer.complete, `${by * sign}`).toBe(false);
        }
      }
    }
  });

  test('in a time: reports a shift beyond the clock difference of CPUs', () => {
    for (const slot of places) {
      // 18 minutes and more; smaller shifts cannot be detected.
      for (let byte = 5; byte < 8; byte++) expect(isSeen(inInfo(slot, ring.timestamp + byte))).toEqual([]);
    }
  });

  test('in the ring: its ends, sizes and parts', () => {
    for (const path of ['desc_ring.head_id', 'desc_ring.tail_id', 'desc_ring.count_bits']) {
      const length = path.endsWith('bits') ? 4 : 8;
      for (let byte = 0; byte < length; byte++) {
        const seen = flips.flatMap((flip) => {
          try {
            const answer = changed(addressOf(ring.address, `printk_ringbuffer.${path}`) + BigInt(byte), flip);
            const same = JSON.stringify(texts(answer)) === JSON.stringify(texts(sound));
            return same || !answer.complete ? [] : [`${path} ${byte} ${flip}`];
          } catch (error) {
            expect((error as { code?: string }).code).toBe('damaged');
            return [];
          }
        });
        expect(seen).toEqual([]);
      }
    }
  });

  test('in level, facility, caller, device and text is not detectable', () => {
    const [slot = 0n] = places;
    expect(changed(inInfo(slot, Number(offset('printk_info.level'))), (byte) => byte ^ 0x20).complete).toBe(true);
  });
});
