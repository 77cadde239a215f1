import { describe, expect, test } from 'vitest';
import type { MemoryJson } from '../../../../src/contracts/memory.js';
import { rowBytes } from '../../../support/named-growth.js';
import { objectScenes, SOURCES } from './object-scenes.js';

const [MESSAGES, MARKS, CGROUPS, DESCRIPTORS, POLLS, PAGES] = [20_000, 66_000, 1_200, 4_096, 600, 2 ** 14];
const MIB = 2 ** 20;

/** Descriptors of the receive ring of an interface, by ETHTOOL_SRINGPARAM (struct ethtool_ringparam). */
const setRing = (name: string, descriptors: number) =>
  `perl -e 'socket S, 2, 2, 0; $ring = pack "L9", 0x11, 0, 0, 0, 0, ${descriptors}, 0, 0, 256;
     ioctl(S, 0x8946, pack("a16 P", "${name}", $ring)) or die $!'`;

// Of the kernels of the lab, this one has e1000.
describe.each(SOURCES)('objects of the kernel: %s', (_, hide, sources) => {
  const { guest, answers, compared, start, end, findingOf } = objectScenes(hide, sources, {
    modules: ['e1000'],
    qemu: ['-netdev', 'user,id=n1', '-device', 'e1000,netdev=n1,romfile='],
  });

  test('receive rings: the bounds of an interface contain what its driver allocates', async () => {
    await guest.run(setRing('eth1', DESCRIPTORS));
    const ringOf = ({ named }: MemoryJson) => named?.find(({ kind, name }) => kind === 'nic-rings' && name === 'eth1');
    const before = await answers();
    // The driver frees the buffers of an interface that is down.
    for (const answer of before)
      expect(ringOf(answer)?.figures).toMatchObject({ descriptors: DESCRIPTORS, leastBytes: 0 });
    await guest.run(
      'ip link set eth1 up; dd if=/dev/zero of=/run/decoy/file bs=1M count=12 2>/dev/null; usleep 500000',
    );
    for (const [at, after] of (await answers()).entries()) {
      const free = (answer: MemoryJson) => rowBytes(answer, (category) => category.startsWith('free-'));
      const lost = free(before[at]!) - free(after) - 12 * MIB;
      const { leastBytes, mostBytes } = ringOf(after)?.figures ?? {};
      console.info(`receive rings | ${after.source} | ${lost} | ${leastBytes} to ${mostBytes}`);
      expect(lost).toBeGreaterThan(leastBytes ?? Number.NaN);
      expect(lost).toBeLessThan(mostBytes ?? Number.NaN);
    }
  });

  test('removed cgroups: their number and their parent, beside as many that exist', async () => {
    const root = '/sys/fs/cgroup';
    const each = (parent: string, command: string) =>
      `mkdir ${root}/${parent}; echo +memory > ${root}/${parent}/cgroup.subtree_control
       for n in $(seq ${CGROUPS}); do ${command}; done`;
    await guest.run(each('exist.slice', `mkdir ${root}/exist.slice/$n`));
    await guest.run('mkdir /run/kept; mount -t tmpfs none /run/kept');
    await compared('removed cgroups', async () => {
      // A page of a file keeps each.
      const one = `mkdir ${root}/jobs.slice/$n; echo $$ > ${root}/jobs.slice/$n/cgroup.procs; echo > /run/kept/$n
        echo $$ > ${root}/cgroup.procs; rmdir ${root}/jobs.slice/$n`;
      await guest.run(each('jobs.slice', one));
    });
    const { dying, dyingInside, cgroup } = (await findingOf('dying-cgroups')).figures;
    console.info(`removed cgroups | ${dying} ${dyingInside} ${cgroup}`);
    expect([dyingInside, cgroup]).toEqual([CGROUPS, '/jobs.slice']);
  });

  test('unread messages: the process that sent the last one, and the creator of the queue', async () => {
    const bytes = MESSAGES * 4096;
    let pid = 0;
    await compared(
      'message queues',
      async () => {
        pid = await start('messages', MESSAGES);
        await guest.run(`dd if=/dev/zero of=/run/decoy/messages bs=4096 count=${MESSAGES} 2>/dev/null`);
      },
      { bytes, row: 'slab-unreclaimable', decoy: { row: 'shared', bytes } },
    );
    expect((await findingOf('message-queues')).figures).toMatchObject({
      bytes,
      messages: MESSAGES,
      pid,
      comm: 'messages',
      uid: 1000,
    });
    await guest.run('rm /run/decoy/messages');
  });

  const WATCHES = [
    ['marks and events of fanotify', 'fanotify', 'marks'],
    ['watches of inotify', 'inotify', 'watches'],
  ];
  // Where kernel memory is readable, they are read from /proc too: one of them is enough.
  const isEnough = hide === 'true';
  test.each(isEnough ? WATCHES.slice(0, 1) : WATCHES)(
    '%s that are many: their process, beside as many files',
    async (scene, kind, program) => {
      const decoy = await start('files', MARKS);
      let pid = 0;
      await compared(scene, async () => {
        pid = await start(program, MARKS);
      });
      const { figures } = await findingOf('file-watches');
      expect(figures).toMatchObject({ pid, comm: program, kind, watches: MARKS });
      await guest.run(`umount -l /run/files /run/${program}; rm -r /run/files /run/${program}`);
      await end(decoy, pid);
    },
  );

  test.skipIf(isEnough)('files in epoll: their process, beside as many instances', async () => {
    const decoy = await start('nopolls', POLLS);
    let pid = 0;
    // struct epitem and struct eppoll_entry; since there was a cgroup, a pointer to that of each too (account_slab, mm/slab.h).
    await guest.run('mkdir /sys/fs/cgroup/first.slice');
    const bytes = POLLS * POLLS * (128 + 64 + 2 * 8);
    const take = async () => {
      pid = await start('epolls', POLLS);
    };
    await compared('files in epoll', take, { bytes, row: 'slab-unreclaimable' });
    const { figures } = await findingOf('file-watches');
    expect(figures).toMatchObject({ pid, comm: 'epolls', kind: 'epoll', watches: POLLS * POLLS });
    await end(decoy, pid);
  });

  test.each([
    // Its own page, two of positions.
    ['a BPF ring buffer', 'BPF', 'bpfring', 3],
    ['rings of perf', 'perf', 'perfring', 1],
  ])('%s: its process, beside a file as large', async (scene, name, program, more) => {
    const bytes = (PAGES + more) * 4096;
    const pids: number[] = [];
    await compared(
      scene,
      async () => {
        pids.push(await start(program, PAGES));
        await guest.run(`dd if=/dev/zero of=/run/decoy/ring bs=4096 count=${PAGES} 2>/dev/null`);
      },
      {
        bytes,
        row: 'rings',
        decoy: { row: 'shared', bytes: PAGES * 4096 },
        owner: { kind: 'trace-rings', name, pids },
      },
    );
    await guest.run('rm /run/decoy/ring');
    await end(...pids);
  });
});
