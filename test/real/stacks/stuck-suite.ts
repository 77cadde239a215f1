import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { blockedTasks } from '../../../src/account/blocked.js';
import { readList } from '../../../src/answers/info/lists/lists.js';
import { jsonOf } from '../../../src/base/util.js';
import { type BlockedAnswer, type BlockedJson, blockedSchema } from '../../../src/contracts/blocked.js';
import { mountsSchema, runQueuesSchema } from '../../../src/contracts/lists.js';
import type { NativeKernel } from '../../../src/kernel/native/kernel.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { perCpuAddress } from '../../../src/walk/cpus.js';
import { taskTable } from '../../../src/walk/tasks/task-table.js';
import { kdumpMem, kdumpMemJson } from '../../support/cli.js';
import { memoryOf } from '../../support/damaged-kernel.js';
import { drgnJson } from '../../support/drgn.js';
import { FOUR_LEVELS, testGuest } from '../../support/guest.js';
import type { LabKernel } from '../../support/lab.js';
import { exceptWakeups } from '../info-lists.js';
import { damageGracePeriod } from './grace-period-damage.js';

/** Tags of each hardware queue of /dev/vdb, and processes that read it in parallel. */
const [TAGS, READERS] = [4, 24];

interface Drgn {
  /** Requests in flight: hardware queue and start time. */
  readonly disks: Readonly<Record<string, readonly (readonly [number, number])[] | null>>;
  readonly gracePeriod: { readonly cpus: readonly number[]; readonly tasks: readonly number[] };
  readonly journal: { readonly task: number; readonly holders: readonly number[]; readonly address: string };
  readonly deadline: readonly number[];
  /** CPU at the end of the queue of the spinlock; -1: none. */
  readonly tail: number;
}

type Lock = BlockedJson['locks'][number];
const pids = (tasks: readonly { pid: number }[]) => tasks.map(({ pid }) => pid).toSorted((a, b) => a - b);

/**
 * Disks of a guest do not answer, a file system is frozen, CPUs spin for a lock and hold back a
 * grace period: the answer must match the setup, and drgn.
 *
 * @param queued without the hypervisor bit, so that CPUs queue for the spinlock; otherwise they
 * retry
 */
export function stuckSuite(kernel: LabKernel, queued = true): void {
  describe(`stuck disks and CPUs in a guest of ${kernel}`, () => {
    const guest = testGuest(kernel);
    let dump = '';
    let inFlight = '';
    let answer: BlockedJson;
    let drgn: Drgn;
    let spinlock = '';
    let mounts = '';
    const threads = new Map<string, number[]>();

    beforeAll(async () => {
      const disks = [
        guest.disk('a', 64, [['file', Buffer.alloc(1 << 20, 7)]], true),
        guest.disk('b', 16),
        guest.disk('c', 16, [], true),
      ];
      await guest.boot({
        memoryMiB: 256,
        cpus: 4,
        ...(queued ? { cpu: `${FOUR_LEVELS},-hypervisor` } : {}),
        // Two leaves and a root in the RCU tree.
        append: 'rcutree.rcu_fanout_leaf=2 nosoftlockup',
        tools: ['stall'],
        insmod: ['locks'],
        modules: ['virtio_blk'],
        disks,
      });
      const run = (command: string) => guest.output(command);
      await run(
        `mkdir -p /a /c; mount -t ext4 /dev/vda /a; mount -t ext4 /dev/vdc /c; mkdir /a/warm; echo ${TAGS} > /sys/block/vdb/queue/nr_requests; sync; sleep 1`,
      );
      await guest.machine.stall(0);
      await guest.machine.stall(1);
      // The first requests are still answered.
      await run(
        'dd if=/dev/vda of=/dev/null bs=4k skip=5000 count=1 & dd if=/dev/vdb of=/dev/null bs=4k count=1 & sleep 2',
      );
      const printed = await run(
        `stall read /a/file & stall sync /a/file & stall metadata /a/warm & stall zero /dev/vdb & sleep 1; stall direct /dev/vdb ${READERS} & stall freeze /c; stall create /c & mkdir /own; stall namespace /own & stall deadline / 3 & sleep 4; true`,
      );
      for (const [, name = '', pid] of printed.matchAll(/^(\w+) (\d+)$/gm))
        threads.set(name, [...(threads.get(name) ?? []), Number(pid)]);
      const log = await run('insmod /locks.ko crowd=2; echo lock > /sys/module/locks/parameters/hold & sleep 6; dmesg');
      mounts = await run(`cat /proc/${threads.get('namespace')?.[0]}/mounts`);
      for (const [, name = '', pid] of log.matchAll(/locks: thread (\S+) (\d+)/g)) threads.set(name, [Number(pid)]);
      spinlock = `0x${/locks: at lk_spinlock ([0-9a-f]+)/.exec(log)?.[1]}`;
      inFlight = await run('cat /sys/block/vda/inflight /sys/block/vdb/inflight');
      dump = await guest.lastDump();
      answer = jsonOf(await kdumpMemJson(blockedSchema, 'blocked', '--vmcore', dump));
      drgn = drgnJson<Drgn>(dump, kernel, new URL('./stuck.py', import.meta.url), spinlock);
    });

    const lockOf = (name: string): Lock => {
      const pid = threads.get(name)?.at(-1);
      const found = answer.locks.find(({ waiters }) => waiters.some((task) => task.pid === pid));
      expect(found, name).toBeDefined();
      return found!;
    };

    test('complete, without contradictions', () => {
      expect({ complete: answer.complete, warnings: answer.warnings }).toEqual({ complete: true, warnings: [] });
    });

    test('tasks wait for the file systems and devices that were stalled', () => {
      const vda = { fileSystem: 'ext4', name: 'vda', number: '254:0', frozen: false };
      expect(lockOf('read')).toMatchObject({ kind: 'page-lock', device: vda });
      expect(lockOf('sync')).toMatchObject({ kind: 'writeback', device: vda });
      const io = lockOf('zero');
      expect(io).toMatchObject({
        kind: 'io',
        device: { fileSystem: null, name: 'vdb', number: '254:16', frozen: false },
      });
      // All of them, whether they have a tag or wait for one.
      expect(pids(io.waiters)).toEqual(
        [...(threads.get('zero') ?? []), ...(threads.get('direct') ?? [])].toSorted((a, b) => a - b),
      );
      expect(io.waiters).toHaveLength(READERS + 1);
      expect(lockOf('create')).toMatchObject({
        kind: 'percpu-rw-semaphore',
        device: { fileSystem: 'ext4', name: 'vdc', number: '254:32', frozen: true },
      });
    });

    test('outstanding requests match drgn and the guest', () => {
      const counts = inFlight
        .trim()
        .split('\n')
        .map((line) => line.trim().split(/\s+/).map(Number));
      for (const [index, name] of ['vda', 'vdb'].entries()) {
        const truth = drgn.disks[name] ?? [];
        const lock = answer.locks.find(({ device }) => device?.name === name)!;
        const { requests } = lock.device!;
        expect(requests).toMatchObject({
          outstanding: truth.length,
          started: truth.length,
          hardwareQueues: [...new Set(truth.map(([queue]) => queue))].toSorted((a, b) => a - b),
        });
        // sysfs omits flushes.
        expect(counts[index]![0]! + counts[index]![1]!).toBeLessThanOrEqual(truth.length);
        expect(counts[index]![0]! + counts[index]![1]!).toBeGreaterThanOrEqual(truth.length - 1);
        expect(requests!.oldestSeconds).toBeGreaterThan(5);
        expect(requests!.oldestSeconds).toBeLessThan(guest.ageSeconds);
      }
      expect(drgn.disks.vdb!.length).toBeGreaterThan(TAGS);
    });

    test('the journal: its commit thread, and handles that it waits for', () => {
      const waits = answer.locks.filter(({ kind }) => kind === 'journal');
      for (const { owner, candidates, waiters } of waits) {
        const isCommit = pids(waiters).includes(drgn.journal.task);
        if (isCommit) {
          expect(owner).toBeNull();
          expect(pids(candidates.map(({ task }) => task))).toEqual(drgn.journal.holders);
          expect(new Set(candidates.map(({ by }) => by))).toEqual(new Set(['handle']));
        } else expect(owner?.pid).toBe(drgn.journal.task);
      }
      // If the new directory is stuck before its fsync, the commit thread waits for its handle.
      const metadata = lockOf('metadata');
      if (metadata.kind !== 'journal') expect(drgn.journal.holders).toContain(threads.get('metadata')![0]);
      else expect(metadata.waitsFor).not.toBeNull();
      expect(waits.length).toBeGreaterThan(0);
    });

    test('a spinlock: its CPUs in order, and the CPU that has its address', () => {
      const lock = answer.locks.find(({ kind }) => kind === 'spinlock')!;
      expect(lock).toMatchObject({ address: spinlock, symbol: 'lk_spinlock', owner: null });
      expect(pids(lock.waiters)).toEqual([threads.get('lk-spin2')![0], threads.get('lk-spin3')![0]]);
      expect(lock.candidates.map(({ task, by }) => [task.comm, by])).toContainEqual(['lk-spin1', 'stack']);
      expect(drgn.tail).toBe(queued ? lock.waiters.at(-1)!.cpu : -1);
    });

    test('CPUs and readers that hold back a grace period', () => {
      const { candidates } = lockOf('lk-rcuw');
      const of = (by: string) => candidates.filter((one) => one.by === by).map(({ task }) => task);
      // Idle CPUs do not hold it back, whatever their bits are.
      const busy = of('cpu').map(({ cpu }) => cpu);
      expect(drgn.gracePeriod.cpus).toEqual(expect.arrayContaining(busy));
      for (const cpu of drgn.gracePeriod.cpus.filter((one) => one > 0)) expect(busy).toContain(cpu);
      expect(pids(of('reader'))).toEqual(drgn.gracePeriod.tasks);
      expect(candidates.length).toBeGreaterThan(0);
    });

    test('text names devices and their requests', async () => {
      const { stdout } = await kdumpMem('blocked', '--vmcore', dump);
      expect(stdout).toMatch(/^ {2}vdb \(254:16\): \d+ requests outstanding, oldest \d+ s, hardware queues? [\d ]+$/m);
      expect(stdout).toMatch(/^ {2}file system ext4 on vdc \(254:32\), frozen: no requests outstanding$/m);
      expect(stdout).toMatch(/^ *journal 0x\S+ /m);
    });

    test('mounts of a process in another namespace match its /proc/PID/mounts', () => {
      const kernel = openNative({ files: [dump] });
      try {
        const [pid] = threads.get('namespace')!;
        const list = (of?: number) => mountsSchema.parse(jsonOf(readList('mounts', kernel, of)));
        const rows = ({ mounts: all }: ReturnType<typeof list>) =>
          all
            // The root of the namespace is above the root of its processes: /proc omits it.
            .filter(({ fsType }) => fsType !== 'nullfs')
            .map(({ source, path, fsType, options }) => [source, path, fsType, options[0]].join(' '));
        const own = list(pid);
        expect(own).toMatchObject({ complete: true, warnings: [] });
        expect(rows(own)).toEqual(
          mounts
            .trim()
            .split('\n')
            .map((line) => line.replace(/^(\S+ \S+ \S+) (r[ow]).*$/, '$1 $2')),
        );
        expect(rows(own)).toContain('only-here /own tmpfs rw');
        const first = list();
        expect(first.namespace).not.toBe(own.namespace);
        expect(rows(first)).not.toContain('only-here /own tmpfs rw');
      } finally {
        kernel.close();
      }
    });

    test('deadline tasks on run queues match drgn; throttled ones are no contradiction', () => {
      const kernel = openNative({ files: [dump] });
      try {
        const { cpus, warnings } = runQueuesSchema.parse(jsonOf(readList('run-queues', kernel)));
        expect(exceptWakeups(warnings)).toEqual([]);
        const tasks = cpus.flatMap((cpu) => cpu.tasks).filter((task) => task.class === 'deadline');
        expect(pids(tasks)).toEqual(drgn.deadline);
        for (const { pid } of tasks) expect(threads.get('deadline')).toContain(pid);
        expect(threads.get('deadline')).toHaveLength(3);
      } finally {
        kernel.close();
      }
    });

    describe('reports damage to', () => {
      let sound: NativeKernel;
      let memory: ReturnType<typeof memoryOf<NativeKernel>>;
      beforeAll(() => {
        sound = openNative({ files: [dump] });
        memory = memoryOf(sound);
      });
      afterAll(() => sound?.close());

      test('any word of the RCU tree', () => {
        expect(damageGracePeriod(sound)).toBeGreaterThan(500);
      });

      test('a file system of flash memory has an MTD device instead of a block device', () => {
        const whole = blockedTasks(sound);
        const { has, read, set, damagedBy } = memory;
        const superBlock = read(BigInt(drgn.journal.address), 'journal_s.j_private');
        // Any address that can be read, of which the first word would be the number of the device.
        const info = read(superBlock, 'super_block.s_type');
        const changed = (number: bigint, flash: bigint) => {
          const damages = [
            set(superBlock, 'super_block.s_bdev', 0n),
            set(superBlock, 'super_block.s_mtd', flash),
            set(superBlock, 'super_block.s_dev', number),
          ];
          if (has('mtd_info.index')) damages.push(set(info, 'mtd_info.index', 7n));
          return blockedTasks(damagedBy(...damages));
        };
        const found = changed((31n << 20n) | 7n, info);
        // Its journal is on the disk still.
        const odd = ({ warnings }: BlockedAnswer) => warnings.filter(({ message }) => message.includes('super block'));
        expect(odd(found)).toEqual([]);
        const devices = found.locks.flatMap(({ device }) => device ?? []);
        expect(devices).toContainEqual(expect.objectContaining({ fileSystem: 'ext4', number: '31:7', requests: null }));
        expect(found.blocked).toBe(whole.blocked);
        expect(odd(changed((31n << 20n) | 7n, 0n))).toHaveLength(1);
        expect(odd(changed(7n, info))).toHaveLength(1);
      });

      test('any word that leads to devices, requests, journals and spinlocks', () => {
        const whole = blockedTasks(sound);
        const essence = ({ locks }: BlockedAnswer) =>
          JSON.stringify(
            locks
              .map(({ kind, address, owner, device, waiters, candidates }) => [
                kind,
                String(address),
                owner?.pid,
                device && [device.fileSystem, device.name, device.number, device.frozen],
                device?.requests?.outstanding,
                device?.requests?.hardwareQueues,
                pids(waiters),
                pids(candidates.map(({ task }) => task)),
              ])
              .toSorted(),
          );
        const { has, addressOf, read, set, damagedBy } = memory;
        const lock = (kind: string, name: string) =>
          whole.locks.find((one) => one.kind === kind && one.device?.name === name)!;
        const queue = lock('io', 'vdb').address!;
        const other = read(queue + 8n);
        const places: [string, bigint][] = [];
        const add = (type: string, at: bigint, ...paths: string[]) => {
          for (const path of paths)
            if (has(`${type}.${path}`)) places.push([`${type}.${path}`, addressOf(at, `${type}.${path}`)]);
        };
        const tasks = new Map(taskTable(sound).processes.map(({ pid, address }) => [pid, address]));
        const commit = tasks.get(drgn.journal.task)!;
        const journal = BigInt(drgn.journal.address);
        const superBlock = read(journal, 'journal_s.j_private');
        const device = read(superBlock, 'super_block.s_bdev');
        const disk = read(device, 'block_device.bd_disk');
        add('journal_s', journal, 'j_task', 'j_private', 'j_running_transaction');
        add('super_block', superBlock, 's_bdev', 's_dev', 's_type', 's_id');
        add('block_device', device, 'bd_disk', 'bd_dev');
        add('gendisk', disk, 'disk_name', 'major', 'first_minor', 'queue');
        const member = ['worker_private', 'set_child_tid'].find((name) => has(`task_struct.${name}`));
        const kthread = read(commit, `task_struct.${member}`);
        add('kthread', kthread, 'data');
        const frame = lock('page-lock', 'vda').address!;
        const mapping = read(frame, 'page.mapping');
        const inode = read(mapping, 'address_space.host');
        places.push(['page.mapping', addressOf(frame, 'page.mapping')]);
        add('address_space', mapping, 'host');
        add('inode', inode, 'i_sb', 'i_mapping');
        // Requests of the second disk, from its first hardware queue.
        add('request_queue', queue, 'tag_set', 'nr_hw_queues', 'mq_freeze_depth');
        const tags = read(read(read(queue, 'request_queue.tag_set'), 'blk_mq_tag_set.tags'));
        add('blk_mq_tags', tags, 'nr_tags', 'nr_reserved_tags', 'rqs', 'bitmap_tags.sb.map');
        const maps = addressOf(tags, 'blk_mq_tags.bitmap_tags');
        const map = has('blk_mq_tags.bitmap_tags.sb') ? maps : read(maps);
        add('sbitmap_queue', map, 'sb.shift', 'sb.map');
        const words = read(map, 'sbitmap_queue.sb.map');
        add('sbitmap_word', words, 'word', 'cleared');
        const request = read(read(tags, 'blk_mq_tags.rqs'));
        add('request', request, 'q', 'mq_hctx', 'tag', 'state', 'ref', 'bio');
        for (const cpu of [1, 2, 3])
          for (const at of [0n, 8n])
            places.push([`qnodes of CPU ${cpu}`, perCpuAddress(sound, sound.symbol('qnodes')!, cpu) + at]);
        places.push(['spinlock', BigInt(spinlock)]);
        let changed = 0;
        for (const [name, at] of places)
          for (const value of [0n, 8n, -1n, read(at) + 1n, read(at) + 64n, commit, other, queue]) {
            // A page may belong to no file, or to a process.
            if (name === 'page.mapping' && (value === 0n || (value & 7n) !== 0n)) continue;
            const found = blockedTasks(damagedBy(set(at, 8, value)));
            if (essence(found) === essence(whole)) continue;
            changed++;
            expect(found.complete, `${name} = ${value.toString(16)}`).toBe(false);
          }
        expect(changed).toBeGreaterThan(places.length / 2);
      });
    });
  });
}
