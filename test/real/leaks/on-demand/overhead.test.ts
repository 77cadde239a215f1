import { afterAll, beforeAll, expect, test } from 'vitest';
import { LeakGuest } from '../leak-guest.js';

const MOST_MS = 900_000;
const ROUNDS = 2;
/** What tracing may add, at the default budget. */
const MOST = 0.03;

/** Processes that touch memory and end, with pauses: seconds of the guest's own time, which goes by instructions. */
const WORK = 'work fork 60 100000';

let guest: LeakGuest;

beforeAll(async () => {
  guest = await LeakGuest.boot('6.1', { cpus: 1, counted: true, limitMs: 2 * MOST_MS });
  await guest.mount();
}, MOST_MS);

afterAll(() => guest?.end());

/** How long the guest takes for it, in its own nanoseconds. */
async function took(command: string): Promise<number> {
  const { output } = await guest.guest.run(command, { timeoutMs: MOST_MS });
  return Number(output.toString());
}

test(
  'at its default budget ordinary work takes hardly longer beside it',
  async () => {
    const [without, beside]: [number[], number[]] = [[], []];
    for (let round = 0; round < ROUNDS; round++) {
      without.push(await took(WORK));
      // The rate is measured while there is work to see.
      await guest.guest.run(`(while [ ! -e /tmp/enough ]; do ${WORK}; done) > /dev/null 2>&1 &`);
      await guest.start('--interval 1h');
      await guest.guest.run('touch /tmp/enough; wait; sleep 8; rm /tmp/enough');
      beside.push(await took(WORK));
      await guest.signal('INT');
      const { status, stderr } = await guest.finish();
      expect([status, stderr]).toEqual([0, expect.any(String)]);
    }
    const sum = (times: readonly number[]) => times.reduce((total, one) => total + one, 0);
    const more = sum(beside) / sum(without) - 1;
    console.log({ without, beside }, `${(100 * more).toFixed(2)} % more`);
    expect(more).toBeLessThan(MOST);
  },
  MOST_MS,
);
