import { expect, test } from 'vitest';
import { memorySchema } from '../../../../src/contracts/memory.js';
import { jsonInGuest, testGuest } from '../../../support/guest.js';
import { rowBytes } from '../../../support/named-growth.js';

const MAX_SHARE = 0.01;
const SOURCES = ['kcore', 'pageflags', 'counters'];

test.each(['5.10', '6.1', '6.1-rt', '6.12', 'newest', '6.12-arm64-16k'] as const)(
  'at most a hundredth of an idle machine has no name: %s',
  async (kernel) => {
    const guest = testGuest(kernel);
    await guest.boot({ kdumpMem: true, memoryMiB: 2048 });
    for (const source of SOURCES) {
      const answer = memorySchema.parse(await jsonInGuest(guest, `memory --live --source ${source}`));
      expect(answer.source).toBe(source);
      const share = rowBytes(answer, (category) => category === 'unattributed') / answer.memory.bytes;
      console.info(`idle machine | ${kernel} | ${source} | ${(100 * share).toFixed(2)} %`);
      expect.soft(share, `${kernel}, ${source}`).toBeLessThanOrEqual(MAX_SHARE);
    }
  },
);
