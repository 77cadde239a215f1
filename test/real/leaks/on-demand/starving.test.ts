import { afterAll, beforeAll, expect, test } from 'vitest';
import { leaksSchema } from '../../../../src/contracts/leaks.js';
import { LeakGuest } from '../leak-guest.js';

let guest: LeakGuest;

beforeAll(async () => {
  guest = await LeakGuest.boot('6.1');
  await guest.mount();
  await guest.guest.run(
    'cd /proc/sys/net/ipv4; echo "4096 16777216 33554432" > tcp_rmem; echo 1000000 1000000 1000000 > tcp_mem',
  );
});

afterAll(() => guest?.end());

test('finds a stalled reader from the allocating side: the driver, then the socket', async () => {
  const seconds = 40;
  await guest.load(seconds);
  await guest.start(`--interval ${seconds} --windows 5 --sample 1/1 --json`);
  await guest.fed(true);
  const pid = Number((await guest.guest.run('pidof reader')).output.toString());
  const { status, stdout, stderr } = await guest.finish();
  expect([status, stderr]).toEqual([0, expect.any(String)]);
  const [first] = leaksSchema.parse(JSON.parse(stdout)).sites;
  const symbols = first?.frames.map(({ symbol }) => symbol) ?? [];
  expect(symbols.join(' ')).toMatch(/try_fill_recv|receive_mergeable|page_to_skb/);
  expect(first).toMatchObject({ verdict: 'leaking', reason: 'queued' });
  const holders = first?.survivors?.sockets.flatMap((socket) => socket.holders) ?? [];
  expect(holders.map((holder) => holder.pid)).toContain(pid);
});
