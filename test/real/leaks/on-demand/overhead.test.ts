import { afterAll, beforeAll, expect, test } from 'vitest';
import { LeakGuest } from '../leak-guest.js';

const ROUNDS = 2;
/** Maximum overhead of tracing at the default budget. */
const MOST = 0.03;

/** Seconds of the guest's own time, which counts instructions; with pauses. */
const WORK = [
  ['processes that touch memory and end', 'work fork 60 100000'],
  ['MiB through a connection on loopback', 'work net 100 50000'],
] as const;

let guest: LeakGuest;

beforeAll(async () => {
  guest = await LeakGuest.boot('6.1', { cpus: 1, counted: true });
  await guest.mount();
});

afterAll(() => guest?.end());

/** Duration in the guest's own nanoseconds. */
async function took(command: string): Promise<number> {
  const { output } = await guest.guest.run(command);
  return Number(output.toString());
}

test.each(WORK)('the default budget slows ordinary work by less than 3 %: %s', async (_, command) => {
  const [without, beside]: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    without.push(await took(command));
    // The rate is measured while the work runs.
    await guest.guest.run(`(while [ ! -e /tmp/enough ]; do ${command}; done) > /dev/null 2>&1 &`);
    await guest.start('--interval 1h');
    await guest.guest.run('touch /tmp/enough; wait; sleep 8; rm /tmp/enough');
    beside.push(await took(command));
    await guest.signal('INT');
    const { status, stderr } = await guest.finish();
    expect([status, stderr]).toEqual([0, expect.any(String)]);
  }
  const sum = (times: readonly number[]) => times.reduce((total, one) => total + one, 0);
  const more = sum(beside) / sum(without) - 1;
  console.log(command, { without, beside }, `${(100 * more).toFixed(2)} % more`);
  expect(more).toBeLessThan(MOST);
});
