import { beforeAll, describe, expect, test } from 'vitest';
import { jsonOf } from '../../../src/base/util.js';
import { type BlockedJson, blockedSchema } from '../../../src/contracts/blocked.js';
import { drgnJson } from '../../support/drgn.js';
import { testGuest } from '../../support/guest.js';
import { kdumpMemJson } from '../../support/in-process.js';

/** Threads of locks.c and waits.c in state D, and the parent in vfork. */
const IN_STATE_D = 29;

interface Drgn {
  readonly locks: Readonly<Record<string, { readonly owner: string | null }>>;
  readonly uninterruptible: readonly number[];
}

// With PREEMPT_RT, mutexes, rw_semaphores and sleeping spinlocks are rt_mutexes.
describe('waits in a guest with PREEMPT_RT', () => {
  const guest = testGuest('6.1-rt');
  let answer: BlockedJson;
  let drgn: Drgn;

  beforeAll(async () => {
    await guest.boot({ memoryMiB: 256, tools: ['waits'], insmod: ['locks'] });
    await guest.run('insmod /locks.ko; waits > /tmp/waits');
    await guest.run(
      `until [ $(cat /proc/[0-9]*/status | grep -c '^State:.D') -ge ${IN_STATE_D} ]; do usleep 200000; done; sleep 1`,
    );
    const dump = await guest.lastDump();
    answer = jsonOf(await kdumpMemJson(blockedSchema, 'blocked', '--all', '--vmcore', dump));
    const owned = answer.locks.filter(({ kind, owner }) => kind === 'rt-mutex' && owner !== null);
    const names = owned.map(({ kind, address }) => `${kind}:${address}`);
    drgn = drgnJson<Drgn>(dump, '6.1-rt', new URL('./blocked.py', import.meta.url), ...names);
  });

  test('both deadlocks are found', () => {
    const waiters = answer.locks.flatMap((lock) => lock.waiters);
    const names = new Map(waiters.map(({ pid, comm }) => [pid, comm]));
    const comms = answer.cycles.map(({ pids }) => pids.map((pid) => names.get(pid)).toSorted());
    expect(comms.toSorted()).toEqual([
      ['lk-both', 'lk-mixed'],
      ['lk-one', 'lk-other'],
    ]);
  });

  test('all tasks in state D are those of drgn', () => {
    const waiting = answer.locks.flatMap(({ waiters }) => waiters).filter(({ state }) => state === 'D');
    const pids = waiting.map(({ pid }) => pid);
    expect(drgn.uninterruptible).toEqual(expect.arrayContaining(pids));
    expect(new Set(pids).size).toBeGreaterThanOrEqual(IN_STATE_D);
    // A task that is about to sleep is in this state, but running.
    expect(drgn.uninterruptible.length - pids.length).toBeLessThan(3);
  });

  test('owners of mutexes and rw_semaphores match drgn', () => {
    const owners = answer.locks.flatMap(({ address, owner }) => {
      const truth = drgn.locks[`rt-mutex:${address}`];
      return truth ? [[owner?.comm, truth.owner]] : [];
    });
    expect(owners.length).toBeGreaterThan(5);
    expect(owners.map(([own]) => own)).toEqual(owners.map(([, truth]) => truth));
  });

  test('the only warning is about an exited owner', () => {
    expect(answer.warnings.map(({ code, message }) => `${code}: ${message}`)).toEqual([
      expect.stringMatching(/^corrupt: rt-mutex at 0x[0-9a-f]+: its owner, task_struct 0x[0-9a-f]+, is no task/),
    ]);
  });
});
