import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { STEP_MS } from '../../../scripts/lab-parts/limits.mjs';
import { blockedTasks } from '../../../src/account/blocked.js';
import { AddressIdentifier } from '../../../src/account/whatis.js';
import { jsonOf } from '../../../src/base/util.js';
import { type BlockedAnswer, type BlockedJson, blockedSchema } from '../../../src/contracts/blocked.js';
import { infoSchema } from '../../../src/contracts/info.js';
import { memorySchema } from '../../../src/contracts/memory.js';
import { triageSchema } from '../../../src/contracts/triage.js';
import { unattributedSchema } from '../../../src/contracts/unattributed.js';
import { unreachableSchema } from '../../../src/contracts/unreachable.js';
import type { NativeKernel } from '../../../src/kernel/native/kernel.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { FINDING_CODES, type FindingCode } from '../../../src/triage/findings/all.js';
import { type TaskPlace, TaskStacks } from '../../../src/walk/stacks/task-stacks.js';
import { Warnings } from '../../../src/walk/warnings.js';
import { type Damage, memoryOf } from '../../support/damaged-kernel.js';
import { drgnJson } from '../../support/drgn.js';
import { testGuest } from '../../support/guest.js';
import { kdumpMem, kdumpMemJson } from '../../support/in-process.js';
import { type LabKernel, labKernel, labTool } from '../../support/lab.js';
import { PROOFS } from '../../support/next-commands.js';
import { askDump } from '../../support/opened-kernel.js';
import { expectLost } from '../memory/lost.js';
import { damageGracePeriod } from './grace-period-damage.js';

/** Locks of locks.c: kind, name, owner, waiters. */
const BUILT: readonly (readonly [string, string, string | null, readonly string[]])[] = [
  ['mutex', 'lk_root', 'lk-root', ['lk-middle']],
  ['mutex', 'lk_middle', 'lk-middle', ['lk-m0', 'lk-m1', 'lk-m2']],
  ['mutex', 'lk_one', 'lk-one', ['lk-other']],
  ['mutex', 'lk_other', 'lk-other', ['lk-beside', 'lk-one']],
  ['mutex', 'lk_left', null, ['lk-after']],
  ['mutex', 'lk_mixed', 'lk-mixed', ['lk-both']],
  ['rw-semaphore', 'lk_written', 'lk-writer', ['lk-wr0', 'lk-wr1', 'lk-ww']],
  ['rw-semaphore', 'lk_read', null, ['lk-rw']],
  ['rw-semaphore', 'lk_both', 'lk-both', ['lk-mixed']],
  ['semaphore', 'lk_semaphore', null, ['lk-sem0', 'lk-sem1']],
  ['completion', 'lk_completion', null, ['lk-comp0', 'lk-comp1']],
  ['wait-queue', 'lk_queue', null, ['lk-queue']],
  ['percpu-rw-semaphore', 'lk_percpu_written', null, ['lk-pcwr']],
  ['percpu-rw-semaphore', 'lk_percpu_read', null, ['lk-pcrw']],
  ['bit', 'lk_word', null, ['lk-bit']],
  ['page-lock', '*lk_page', null, ['lk-pagew']],
  ['writeback', '*lk_page', null, ['lk-wback']],
  ['work', 'lk_later', null, ['lk-flushl']],
];

/** Pages that the process `mapper` of waits.c maps. */
const MAPPED = 48;

/** All of its threads in state D, and the parent in vfork. */
const IN_STATE_D = 29;

/** Locks whose owners and waiters drgn reads. */
const OF_DRGN = /^(mutex|rw-semaphore|semaphore|completion|rt-mutex|wait-queue|percpu-rw-semaphore|work)$/;

interface Drgn {
  readonly locks: Readonly<Record<string, { owner: string | null; readers: number | null; waiters: number[] | null }>>;
  readonly uninterruptible: readonly number[];
}

type Lock = BlockedJson['locks'][number];
const comms = (tasks: readonly { comm: string }[]) => tasks.map(({ comm }) => comm).toSorted();
const pids = (tasks: readonly { pid: number }[]) => tasks.map(({ pid }) => pid).toSorted((a, b) => a - b);

/** Pids of the tasks in uninterruptible sleep by crash. */
export function crashBlocked(kernel: LabKernel, dump: string): number[] {
  const printed = execFileSync(labTool('crash'), ['-s', labKernel(kernel).vmlinux, dump], {
    input: 'foreach UN bt\nquit\n',
    maxBuffer: 1 << 26,
    timeout: STEP_MS,
  }).toString('latin1');
  return [...printed.matchAll(/^PID: (\d+)/gm)].map(([, pid]) => Number(pid));
}

/**
 * Threads of a guest wait for each other; the answer must match the setup, and drgn.
 *
 * @param onDemand also holds back a grace period of RCU, and compares extracts, and the tasks in
 * state D with crash
 */
export function blockedSuite(kernel: LabKernel, onDemand = false): void {
  describe(`waits in a guest of ${kernel}`, () => {
    /** A reader of RCU can sleep with CONFIG_PREEMPT_RCU: all but 5.10. */
    const sleeps = kernel !== '5.10';
    const guest = testGuest(kernel);
    let dump: string;
    let log = '';
    let listed = '';
    let answer: BlockedJson;
    /** Addresses of the locks, and pids of the programs’ threads. */
    const places = new Map<string, string>();
    const threads = new Map<string, number[]>();

    beforeAll(async () => {
      await guest.boot({ memoryMiB: 256, tools: ['waits'], insmod: ['locks', 'lost'] });
      const run = (command: string) => guest.output(command);
      // Threads of locks.ko leave words in their stacks that refer to what lost.ko would reuse.
      await run('insmod /lost.ko; insmod /locks.ko');
      log = await run('dmesg');
      listed = await run(`grep '\\[locks\\]' /proc/kallsyms`);
      const waits = await run('waits > /tmp/waits; cat /tmp/waits');
      // Earlier grace periods end first.
      await run(
        `until [ $(cat /proc/[0-9]*/status | grep -c '^State:.D') -ge ${IN_STATE_D} ] && ! cat /proc/[0-9]*/stack | grep -q 'rcu_sync_enter\\|synchronize_rcu'; do usleep 200000; done; sleep 1`,
      );
      if (onDemand) await run(`echo ${sleeps ? 'sleep' : 'spin'} >/sys/module/locks/parameters/hold; sleep 2`);
      for (const [, name = '', at = ''] of log.matchAll(/locks: at (\S+) ([0-9a-f]+)/g)) places.set(name, `0x${at}`);
      for (const [, name = '', at = ''] of waits.matchAll(/^(\S+) (\S+)$/gm)) {
        if (at.startsWith('0x')) places.set(name, at);
        else threads.set(name, [...(threads.get(name) ?? []), Number(at)]);
      }
      dump = await guest.lastDump();
      answer = jsonOf(await kdumpMemJson(blockedSchema, 'blocked', '--all', '--vmcore', dump));
    });

    // The same guest has also leaked memory: locks.ko opens a file and drops the pointer.
    test('memory that a module leaked is unreachable, and memory that it kept is not', async () => {
      const found = await kdumpMemJson(unreachableSchema, 'memory', '--unreachable', '--vmcore', dump);
      expect(found).toMatchObject({ complete: true, warnings: [] });
      expectLost(jsonOf(found), log, [['filp', 1]]);
    });

    test('pages that page tables of a process or of a kept area refer to are in use', async () => {
      const [at] = places.get('mapped') === undefined ? [] : [BigInt(places.get('mapped')!)];
      const [pid] = threads.get('mapper') ?? [];
      const memory = await kdumpMemJson(memorySchema, 'memory', '--vmcore', dump);
      expect(memory).toMatchObject({ complete: true, warnings: [] });
      const found = memory.memory.children
        .flatMap(({ children }) => children)
        .find(({ category }) => category === 'driver-mapped');
      expect(found).toMatchObject({ bytes: MAPPED * 4096, owners: [{ kind: 'process', pid, bytes: MAPPED * 4096 }] });

      const objects = askDump(dump, (kernel) => {
        const identifier = new AddressIdentifier(kernel, kernel.symbolTable, new Warnings());
        const frames = [...(identifier.places()?.ledger.framesOf('driver-mapped') ?? [])];
        return frames.map((frame) => identifier.of(kernel.pages.addressOfFrame(frame)!).object);
      });
      const mapped = objects.map((object) => (object?.kind === 'process-page' ? [object.pid, object.address] : object));
      expect(new Set(mapped)).toEqual(
        new Set(Array.from({ length: MAPPED }, (_, page) => [pid, at! + BigInt(page * 4096)])),
      );

      const lines = [...log.matchAll(/lost: (lost_(?:pages|blocks|large)|kept_vmap) \d+ (\d+)/g)];
      const bytes = new Map(lines.map(([, name, count]) => [name, Number(count)]));
      const loose = await kdumpMemJson(unattributedSchema, 'memory', '--unattributed', '--vmcore', dump);
      const kept = loose.groups.filter(({ holder }) => holder?.name === 'keep_vmap [lost]');
      expect(kept.reduce((sum, group) => sum + group.bytes, 0)).toBe(bytes.get('kept_vmap'));
      const lost = loose.unreferencedBytes - loose.followsBlockBytes;
      expect(lost).toBeLessThanOrEqual(bytes.get('lost_pages')! + bytes.get('lost_blocks')! + bytes.get('lost_large')!);
    });

    const lockAt = (kind: string, address: string | undefined): Lock => {
      const found = answer.locks.filter((one) => one.kind === kind && one.address === address);
      expect(found, `${kind} at ${address}`).toHaveLength(1);
      return found[0]!;
    };

    test('locks, owners and waiters match the setup', () => {
      for (const [kind, name, owner, waiters] of BUILT) {
        const lock = lockAt(kind, places.get(name));
        expect({ name, owner: lock.owner?.comm ?? null, waiters: comms(lock.waiters) }).toEqual({
          name,
          owner,
          waiters,
        });
        expect(lock.symbol).toBe(name.startsWith('*') ? null : name);
      }
      expect(lockAt('mutex', places.get('lk_left')).ownerState).toBe('not-a-task');
      const read = lockAt('rw-semaphore', places.get('lk_read'));
      expect(read).toMatchObject({ ownerState: 'readers', readers: 1 });
      expect(read.candidates.map(({ task, by }) => [task.comm, by])).toContainEqual(['lk-reader', 'last']);
      const periods = answer.locks.filter(({ kind }) => kind === 'rcu');
      expect(
        periods
          .flatMap(({ waiters }) => comms(waiters))
          .filter((name) => name.startsWith('lk-'))
          .toSorted(),
      ).toEqual(onDemand ? ['lk-rcuw', 'lk-srcuw'] : ['lk-srcuw']);
      expect(lockAt('page-lock', places.get('*lk_page')).object).toMatchObject({
        kind: 'file-page',
        path: '/locks.ko',
        offset: '4096',
      });
    });

    test('a variable has its own name, not that of a key of lockdep at its address', () => {
      const [, at = ''] = /^(\S+) b lk_spinlock\t/m.exec(listed) ?? [];
      expect(listed).toMatch(new RegExp(`^${at} b rwsem_key\\.\\d+\t`, 'm'));
      expect(askDump(dump, (kernel) => kernel.variableAt(BigInt(`0x${at}`)))).toEqual({
        name: 'lk_spinlock',
        offset: 0,
        module: 'locks',
      });
    });

    test('finds the worker that runs a work item', () => {
      const work = lockAt('work', places.get('lk_work'));
      expect(work.owner?.comm).toMatch(/^kworker\/u/);
      expect(comms(work.waiters)).toEqual(['lk-flush0', 'lk-flush1']);
      expect(work.waitsFor).toBe(lockAt('completion', places.get('lk_worked')).id);
      expect(lockAt('work', places.get('lk_later')).ownerState).toBe('none');
    });

    if (onDemand)
      test('finds what holds back a grace period', () => {
        const rcu = answer.locks.find(({ waiters }) => comms(waiters).includes('lk-rcuw'));
        expect(rcu?.candidates.map(({ task, by }) => [task.comm, by])).toEqual([
          sleeps ? ['lk-rcur', 'reader'] : ['lk-spin', 'cpu'],
        ]);
      });

    if (onDemand)
      test('an extract with stacks gives the dump’s answer', async () => {
        const small = guest.path('small.vmcore');
        const cut = await kdumpMem('extract', '--with-stacks', '--vmcore', dump, '-o', small);
        expect(cut.status).toBe(0);
        expect(statSync(small).size).toBeLessThan(5e6);
        const whole = await kdumpMem('blocked', '--json', '--vmcore', dump);
        const of = await kdumpMem('blocked', '--json', '--vmcore', small);
        const without = (text: string) => ({ ...blockedSchema.parse(JSON.parse(text)), kernel: 0 });
        expect(without(of.stdout)).toEqual(without(whole.stdout));
        const other = guest.path('other.vmcore');
        await kdumpMem('extract', '--with-stacks', '--anonymize', '--vmcore', dump, '-o', other);
        const named = await kdumpMem('blocked', '--json', '--vmcore', other);
        const { locks } = jsonOf(blockedSchema.parse(JSON.parse(named.stdout)));
        const page = locks.find(({ kind, address }) => kind === 'page-lock' && address === places.get('*lk_page'));
        expect(page?.object).toMatchObject({ kind: 'file-page', offset: '4096' });
        expect(named.stdout).not.toContain('locks.ko');
      });

    test('a blocked owner is linked to its lock, and cycles are found', () => {
      const middle = lockAt('mutex', places.get('lk_middle'));
      expect(middle.waitsFor).toBe(lockAt('mutex', places.get('lk_root')).id);
      expect(lockAt('mutex', places.get('lk_root')).waitsFor).toBeNull();
      const names = answer.cycles.map(({ locks }) => locks.map((id) => answer.locks[id]?.symbol).toSorted());
      expect(names.toSorted()).toEqual([
        ['lk_both', 'lk_mixed'],
        ['lk_one', 'lk_other'],
      ]);
    });

    test('processes: vfork, futexes, a tracer', () => {
      const waiting = (name: string) =>
        answer.locks.filter(({ waiters }) => waiters.some(({ pid }) => threads.get(name)?.includes(pid)));
      const [vfork] = waiting('vfork-parent');
      expect(vfork).toMatchObject({ kind: 'completion', ownerState: 'task' });
      expect([vfork?.owner?.pid]).toEqual(threads.get('vfork-child'));
      const [futex] = waiting('futex-waiter');
      expect(futex).toMatchObject({ kind: 'futex', address: places.get('plain') });
      expect(pids(futex?.waiters ?? [])).toEqual(threads.get('futex-waiter'));
      const [inheriting] = waiting('pi-waiter');
      expect(inheriting).toMatchObject({ kind: 'rt-mutex', ownerState: 'task' });
      expect([inheriting?.owner?.pid]).toEqual(threads.get('futex-owner'));
      const [traced] = waiting('traced');
      expect(traced).toMatchObject({ kind: 'ptrace' });
      expect([traced?.owner?.pid]).toEqual(threads.get('tracer'));
    });

    test('owners, readers and waiters match drgn', () => {
      const known = answer.locks.filter(({ kind, address }) => OF_DRGN.test(kind) && address !== null);
      const names = known.map(({ kind, address }) => `${kind}:${address}`);
      const drgn = drgnJson<Drgn>(dump, kernel, new URL('./blocked.py', import.meta.url), ...names);
      for (const { kind, address, owner, ownerState, readers, waiters } of known) {
        const truth = drgn.locks[`${kind}:${address}`]!;
        if (truth.waiters) expect(pids(waiters)).toEqual(truth.waiters);
        expect(readers).toBe(truth.readers);
        if (kind === 'completion') continue;
        // drgn reads the comm of a task that has exited.
        if (ownerState === 'not-a-task') expect(truth.owner).toBe('lk-left');
        else expect(owner?.comm ?? null).toBe(truth.owner);
      }
      expect(names.length).toBeGreaterThan(14);
      const inD = answer.locks.flatMap(({ waiters }) => waiters).filter(({ state }) => state === 'D');
      // A task that is about to sleep is in this state, but running.
      expect(drgn.uninterruptible).toEqual(expect.arrayContaining(pids(inD)));
      expect(inD.length).toBeGreaterThanOrEqual(IN_STATE_D);
      expect(drgn.uninterruptible.length - inD.length).toBeLessThan(3);
    });

    if (onDemand)
      test('tasks in state D match crash’s `foreach UN bt`', () => {
        const inD = answer.locks.flatMap(({ waiters }) => waiters).filter(({ state }) => state === 'D');
        expect(pids(inD)).toEqual(crashBlocked(kernel, dump).toSorted((a, b) => a - b));
      });

    test('the only warning is about an exited owner; times match the guest', () => {
      const at = places.get('lk_left')!;
      expect(answer.warnings.map(({ code, message }) => `${code}: ${message}`)).toEqual([
        expect.stringMatching(new RegExp(`^corrupt: mutex at ${at}: its owner, task_struct 0x[0-9a-f]+, is no task`)),
      ]);
      expect(answer.complete).toBe(false);
      for (const { waiters } of answer.locks)
        for (const { seconds, stack } of waiters) {
          expect(seconds).toBeGreaterThanOrEqual(1);
          expect(seconds).toBeLessThan(guest.ageSeconds);
          expect(answer.stacks[stack ?? -1]?.frames.length).toBeGreaterThan(2);
        }
    });

    test('text: deadlocks first, owners above their waiters', async () => {
      const { stdout, status } = await kdumpMem('blocked', '--vmcore', dump);
      expect(status).toBe(0);
      expect(stdout).toMatch(/\nAt least 3\d of \d+ threads are blocked, waiting for 2\d locks and events\./);
      expect(stdout).toMatch(/^Deadlock of 2 tasks: pid \d+ \(lk-/);
      expect(stdout).toMatch(
        /\nmutex lk_root \[locks\]: owner pid \d+ \(lk-root\), state S[^\n]*\n[^\n]*1 waiter: pid \d+ \(lk-middle\)[^\n]*\n {2}mutex lk_middle \[locks\]: owner pid \d+ \(lk-middle\), state D/,
      );
      const strict = await kdumpMem('blocked', '--strict', '--json', '--vmcore', dump);
      expect(strict.status).toBe(5);
    });

    test('triage: deadlocks, and locks with the number of tasks, without duplicates', async () => {
      const { stdout } = await kdumpMem('triage', '--json', '--vmcore', dump);
      const page = await kdumpMem('triage', '--html', '-', '--vmcore', dump);
      expect(page.stdout).toMatch(
        /<ul><li>mutex lk_root \[locks\]: owner pid \d+ \(lk-root\)[^\n]*<ul><li>mutex lk_middle \[locks\]: owner pid \d+ \(lk-middle\)/,
      );
      const { findings } = triageSchema.parse(JSON.parse(stdout));
      const of = (code: string) => findings.filter((one) => one.code === code);
      expect(of('deadlock').map(({ severity, next }) => [severity, next?.split(' ')[0]])).toEqual([
        ['critical', 'blocked'],
        ['critical', 'blocked'],
      ]);
      expect(of('blocked-on-lock').map(({ figures }) => figures)).toContainEqual(
        expect.objectContaining({ tasks: 4, lock: 'lk_root', comm: 'lk-root', kind: 'mutex' }),
      );
      const alone = of('blocked-tasks').map(({ figures }) => figures.comm);
      expect(alone).not.toContain('lk-middle');
      expect(alone).not.toContain('lk-one');
      expect(alone).toContain('lk-bit');
    });

    test('the next commands of triage show the locks, their owners and waiters, and the taint', async () => {
      const { findings } = await kdumpMemJson(triageSchema, 'triage', '--vmcore', dump);
      const proved = new Set<string>();
      for (const { code, next, figures } of findings.filter((one) => PROOFS[one.code as FindingCode] === 'guest')) {
        const { stdout } = await kdumpMem(...(next ?? '').split(' '), '--json', '--vmcore', dump);
        if (code === 'tainted') {
          expect(BigInt(infoSchema.parse(JSON.parse(stdout)).kernel?.taint?.mask ?? 0)).toBe(
            BigInt(Number(figures.mask)),
          );
        } else {
          const { locks } = jsonOf(blockedSchema.parse(JSON.parse(stdout)));
          const root = locks.find(({ object, address }) =>
            [object?.kind === 'symbol' ? object.name : null, address].includes(String(figures.lock)),
          );
          expect(root?.owner?.pid ?? null).toBe(figures.pid);
          // The owner of a lock above another one waits for that one.
          const ids = new Set([root?.id]);
          for (let size = 0; size < ids.size; ) {
            size = ids.size;
            for (const { id, waitsFor } of locks) if (ids.has(waitsFor ?? undefined)) ids.add(id);
          }
          const waiters = locks.flatMap(({ id, waiters: own }) => (ids.has(id) ? own : []));
          expect(waiters).toHaveLength(Number(figures.tasks));
        }
        proved.add(code);
      }
      const declared = FINDING_CODES.filter((code) => PROOFS[code] === 'guest');
      expect([...proved].toSorted()).toEqual(declared.toSorted());
    });

    describe('reports damage to', () => {
      let sound: NativeKernel;
      let memory: ReturnType<typeof memoryOf<NativeKernel>>;
      let whole: BlockedAnswer;

      beforeAll(() => {
        sound = openNative({ files: [dump] });
        whole = blockedTasks(sound);
        memory = memoryOf(sound);
      });
      afterAll(() => sound?.close());

      /** An answer without the fields that damage to other words may change. */
      const essence = ({ locks, cycles }: BlockedAnswer) =>
        JSON.stringify([
          locks
            .map((one) => [
              one.kind,
              String(one.address),
              one.ownerState,
              one.owner?.pid,
              one.readers,
              pids(one.waiters),
            ])
            .toSorted(),
          cycles.map((one) => one.pids.toSorted()).toSorted(),
        ]);
      const words = ({ warnings }: BlockedAnswer) => warnings.map(({ code, message }) => `${code}: ${message}`);
      const damaged = (damage: Damage): BlockedAnswer => blockedTasks(memory.damagedBy(damage));
      const at = (name: string) => BigInt(places.get(name) ?? 0);
      const headOf = (name: string, type: string): bigint =>
        memory.addressOf(at(name), `${type}.${memory.has(`${type}.first_waiter`) ? 'first_waiter' : 'wait_list'}`);
      /** The first waiter of a lock. */
      const firstOf = (name: string, type: string): bigint => {
        return memory.read(headOf(name, type));
      };

      test('an owner word of 0, and one that points to no task', () => {
        const { read, set, add } = memory;
        const middle = at('lk_middle');
        const none = damaged(set(middle, 'mutex.owner', read(middle, 'mutex.owner') & 7n));
        const lock = none.locks.find(({ address }) => address === middle);
        expect(lock).toMatchObject({ ownerState: 'none', owner: null });
        expect(words(none)).toContainEqual(
          expect.stringMatching(/^corrupt: mutex at .*: tasks wait, but it has no owner/),
        );
        const other = damaged(add(middle, 'mutex.owner', 0x40n));
        const odd = other.locks.find(({ address }) => address === middle);
        expect(odd).toMatchObject({ ownerState: 'not-a-task', owner: null, waitsFor: null });
        expect(words(other)).toHaveLength(words(whole).length + 1);
      });

      test.each([
        ['mutex', 'lk_middle', 'mutex_waiter', 'list'],
        ['rw_semaphore', 'lk_written', 'rwsem_waiter', 'list'],
        ['semaphore', 'lk_semaphore', 'semaphore_waiter', 'list'],
      ])('any word of a waiter and of the list of a %s', (type, name, struct, list) => {
        const { addressOf, read, set } = memory;
        const first = firstOf(name, type);
        const listOf = addressOf(first, `${struct}.${list}`);
        const next = read(listOf);
        const head = headOf(name, type);
        const task = addressOf(first, `${struct}.task`);
        const others = [0n, 8n, next, listOf, at('lk_root'), read(task), read(task) + 64n];
        const places = [listOf, listOf + 8n, task, head, next, next + 8n];
        for (const place of places)
          for (const value of others) {
            if (value === read(place)) continue;
            const found = damaged(set(place, 8, value));
            const newWarnings = words(found).filter((each) => !words(whole).includes(each));
            if (essence(found) !== essence(whole))
              expect(newWarnings, `${place.toString(16)} = ${value.toString(16)}`).not.toEqual([]);
          }
      });

      test('any word that leads to the worker of a work item', () => {
        const { has, addressOf, read, set } = memory;
        const tasks = new Map<number, bigint>();
        const note = ({ task }: TaskPlace) => {
          tasks.set(task.pid, task.address);
          return false;
        };
        for (const _ of new TaskStacks(sound, new Warnings()).all(note));
        const lock = whole.locks.find(({ kind, owner }) => kind === 'work' && owner)!;
        const [worker, other] = [lock.owner!, lock.waiters[0]!].map(({ pid }) => tasks.get(pid)!);
        const member = ['worker_private', 'set_child_tid'].find((name) => has(`task_struct.${name}`));
        const private_ = addressOf(worker!, `task_struct.${member}`);
        const data = addressOf(read(private_), 'kthread.data');
        const own = read(data);
        const scheduled = addressOf(own, 'worker.scheduled');
        const places = [
          ...['task', 'current_work', 'current_func'].map((name) => addressOf(own, `worker.${name}`)),
          scheduled,
          scheduled + 8n,
          data,
          private_,
          addressOf(lock.address!, 'work_struct.func'),
        ];
        let changed = 0;
        for (const place of places)
          for (const value of [0n, 8n, other!, own, lock.address!, read(place) + 64n]) {
            if (value === read(place)) continue;
            const found = damaged(set(place, 8, value));
            if (essence(found) === essence(whole)) continue;
            changed++;
            const newWarnings = words(found).filter((each) => !words(whole).includes(each));
            expect(newWarnings, `${place.toString(16)} = ${value.toString(16)}`).not.toEqual([]);
          }
        expect(changed).toBeGreaterThan(3);
      });

      if (onDemand)
        test('any word of the RCU tree', () => {
          expect(damageGracePeriod(sound)).toBeGreaterThan(200);
        });

      test('counts and flags that contradict the waiters', () => {
        const { addressOf, read, set } = memory;
        const cases: [bigint, bigint][] = [
          [addressOf(at('lk_middle'), 'mutex.owner'), -2n],
          [addressOf(at('lk_written'), 'rw_semaphore.count'), 0n],
          [addressOf(at('lk_written'), 'rw_semaphore.owner'), 1n],
          [addressOf(at('lk_read'), 'rw_semaphore.count'), 2n],
          [addressOf(at('lk_completion'), 'completion.done'), -1n],
          [addressOf(at('lk_semaphore'), 'semaphore.count') - 4n, -1n],
        ];
        for (const [place, mask] of cases) {
          const value = mask === -1n ? read(place) | (1n << 32n) | 1n : read(place) & mask;
          const found = damaged(set(place, 8, value));
          const newWarnings = words(found).filter((each) => !words(whole).includes(each));
          expect(newWarnings, place.toString(16)).not.toEqual([]);
        }
      });

      test('a stack, a task or a lock that the dump lacks', () => {
        const { read, lose } = memory;
        const first = firstOf('lk_middle', 'mutex');
        for (const [address, length] of [
          [first & ~0xfffn, 4096],
          [at('lk_middle'), 8],
          [read(first, 'mutex_waiter.task'), 8192],
        ] as const) {
          const found = damaged(lose(address, length));
          expect(found.warnings.map(({ code }) => code)).toContain('unreadable');
          expect(found.complete).toBe(false);
        }
      });
    });
  });
}
