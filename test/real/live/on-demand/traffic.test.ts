import { beforeAll, expect, test } from 'vitest';
import { WHOLE_MS } from '../../../../scripts/lab-parts/limits.mjs';
import { socketsSchema } from '../../../../src/contracts/sockets.js';
import { inGuest, testGuest } from '../../../support/guest.js';

// Override for a shorter run: KDUMP_MEM_TRAFFIC_SECONDS=30.
const SECONDS = Number(process.env.KDUMP_MEM_TRAFFIC_SECONDS ?? 300);
const KERNEL = '6.1';
const guest = testGuest(KERNEL);

beforeAll(() => guest.boot({ kdumpMem: true, tools: ['traffic'] }));

test('sockets --live under socket traffic: every run gives an answer or a reason', async () => {
  // It outlives the guest.
  await guest.run(`traffic ${WHOLE_MS / 1000} > /dev/null 2>&1 &`);
  const until = Date.now() + SECONDS * 1000;
  const count = { asked: 0, whole: 0, raced: 0, refused: 0, sockets: 0, skbs: 0 };
  while (count.asked < 3 || Date.now() < until) {
    const { status, output } = await inGuest(guest, 'sockets --live --all --json');
    const text = output.toString();
    count.asked++;
    if (status === 3) {
      // A race on the path to the processes: one line with the reason.
      expect(text).toMatch(/^kdump-mem: [^\n]+\n$/);
      count.refused++;
      continue;
    }
    expect(status, text.slice(-2000)).toBe(0);
    const answer = socketsSchema.parse(JSON.parse(text));
    count.sockets = Math.max(count.sockets, answer.totals.sockets);
    count.skbs = Math.max(count.skbs, answer.totals.skbs);
    const { complete } = answer.totals;
    // Races are reported: every incomplete part has a warning, and is in no complete answer.
    if (!complete) expect(answer.warnings.length).toBeGreaterThan(0);
    if (answer.sockets.some(({ total }) => !total.complete)) expect(complete).toBe(false);
    count[complete ? 'whole' : 'raced']++;
  }
  console.log(`under traffic for ${SECONDS} s: ${JSON.stringify(count)}`);
  // There was traffic, and there were answers that saw it.
  expect(count.skbs).toBeGreaterThan(0);
  expect(count.whole + count.raced).toBeGreaterThan(count.refused);
});
