import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { machineProgram } from '../../../../scripts/lab-parts/programs.mjs';
import { type MemoryJson, memorySchema } from '../../../../src/contracts/memory.js';
import { socketsSchema } from '../../../../src/contracts/sockets.js';
import { triageSchema } from '../../../../src/contracts/triage.js';
import { jsonInGuest, testGuest } from '../../../support/guest.js';
import { expectNamed, rowBytes } from '../../../support/named-growth.js';

const MAX_MS = 900_000;
const [SOCKETS, MESSAGES, MARKS, CGROUPS, DESCRIPTORS] = [10_000, 20_000, 66_000, 1_200, 4_096];
const MIB = 2 ** 20;

const PROGRAMS = ['/usr/bin/perl', '/usr/bin/ss'].flatMap(machineProgram);
const DIAG = ['inet_diag', 'tcp_diag', 'udp_diag', 'unix_diag', 'af_packet_diag', 'netlink_diag', 'raw_diag'];

/** Descriptors of the receive ring of an interface, by ETHTOOL_SRINGPARAM (struct ethtool_ringparam). */
const setRing = (name: string, descriptors: number) =>
  `perl -e 'socket S, 2, 2, 0; $ring = pack "L9", 0x11, 0, 0, 0, 0, ${descriptors}, 0, 0, 256;
     ioctl(S, 0x8946, pack("a16 P", "${name}", $ring)) or die $!'`;

// Of the kernels of the lab, this one has e1000.
describe.each([
  ['with /proc/kcore', 'true', ['--live']],
  ['without /proc/kcore', 'mount --bind /dev/null /proc/kcore', ['--live --source counters']],
])('objects of the kernel: %s', { timeout: MAX_MS }, (_, hide, sources) => {
  const guest = testGuest('6.1-rt', MAX_MS);

  beforeAll(async () => {
    await guest.boot({
      kdumpMem: true,
      memoryMiB: 1536,
      modules: ['e1000', ...DIAG],
      qemu: ['-netdev', 'user,id=n1', '-device', 'e1000,netdev=n1,romfile='],
      files: [...PROGRAMS, { path: 'objects.pl', data: readFileSync(join(import.meta.dirname, 'objects.pl')) }],
      limitMs: 2 * MAX_MS,
    });
    await guest.run(`${hide}; mkdir -p /sys/fs/cgroup
      [ -e /sys/fs/cgroup/cgroup.controllers ] || mount -t cgroup2 none /sys/fs/cgroup
      echo +memory > /sys/fs/cgroup/cgroup.subtree_control`);
  }, MAX_MS);

  const answers = async (): Promise<MemoryJson[]> => {
    const all: MemoryJson[] = [];
    for (const source of sources) all.push(memorySchema.parse(await jsonInGuest(guest, `memory ${source}`, MAX_MS)));
    return all;
  };
  /** Checks each answer with the one of the same source from before. */
  const compared = async (
    scene: string,
    take: () => Promise<void>,
    more: Omit<Parameters<typeof expectNamed>[0], 'scene' | 'before' | 'after'> = {},
  ) => {
    const before = await answers();
    await take();
    for (const [at, after] of (await answers()).entries()) expectNamed({ scene, before: before[at]!, after, ...more });
  };
  const start = async (kind: string, count: number): Promise<number> => {
    const pid = await guest.output(
      `(ulimit -n 50000; perl /objects.pl ${kind} ${count} > /tmp/${kind} 2>&1 &)
       until [ -s /tmp/${kind} ]; do usleep 100000; done; cat /tmp/${kind}`,
    );
    expect(pid).toMatch(/^\d+\n$/);
    return Number(pid);
  };
  const findingOf = async (wanted: string) => {
    const { findings: all, unread } = triageSchema.parse(await jsonInGuest(guest, 'triage --live', MAX_MS));
    const own = all.filter(({ code }) => code === wanted);
    expect(own, JSON.stringify([all, unread])).toHaveLength(1);
    return own[0]!;
  };
  const findings = async (wanted: string) => (await findingOf(wanted)).figures;

  test('receive rings: the bounds of an interface contain what its driver allocates', async () => {
    await guest.run(`${setRing('eth1', DESCRIPTORS)}; mkdir /run/decoy; mount -t tmpfs none /run/decoy`);
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
    const { dying, dyingInside, cgroup } = await findings('dying-cgroups');
    console.info(`removed cgroups | ${dying} ${dyingInside} ${cgroup}`);
    expect([dyingInside, cgroup]).toEqual([CGROUPS, '/jobs.slice']);
  });

  test('sockets that ss does not list: their process, beside as many that it lists', async () => {
    const decoy = await start('bound', SOCKETS);
    let pid = 0;
    await compared('sockets that ss does not list', async () => {
      pid = await start('sockets', SOCKETS);
    });
    const { figures, next } = await findingOf('unlisted-sockets');
    expect(figures).toMatchObject({ pid, comm: 'sockets', openSockets: SOCKETS });
    if (next?.startsWith('sockets ')) {
      const answer = await jsonInGuest(guest, `${next} --live`, MAX_MS);
      const { sockets } = socketsSchema.parse(answer);
      expect(sockets.map(({ socket }) => socket.state)).toEqual(new Array(SOCKETS).fill('CLOSE'));
    } else expect(next).toBe(`procs --pid ${pid} --fds`);
    await guest.run(`kill ${decoy} ${pid}; while [ -e /proc/${pid} ] || [ -e /proc/${decoy} ]; do usleep 100000; done`);
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
    expect(await findings('message-queues')).toMatchObject({
      bytes,
      messages: MESSAGES,
      pid,
      comm: 'messages',
      uid: 1000,
    });
    await guest.run('rm /run/decoy/messages');
  });

  test('marks of fanotify, with events that are not read: their process, beside as many files', async () => {
    await start('files', MARKS);
    let pid = 0;
    await compared('marks and events of fanotify', async () => {
      pid = await start('marks', MARKS);
    });
    expect(await findings('file-watches')).toMatchObject({ pid, comm: 'marks', kind: 'fanotify', watches: MARKS });
  });
});
