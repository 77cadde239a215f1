import { rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { machineProgram } from '../../../../scripts/lab-parts/programs.mjs';
import { testGuest } from '../../../support/guest.js';
import type { LabKernel } from '../../../support/lab.js';
import { follow, MAX_CALLS, McpClient } from '../../../support/mcp.js';
import { snapshotOf } from '../../snapshot/guest-snapshot.js';

const MIB = 2 ** 20;

/**
 * An incident in a guest, written before its author knew the tools; programs are those of
 * guest-programs/outage.c.
 */
interface Incident {
  readonly name: string;
  readonly evidence: 'vmcore' | 'snapshot' | 'log';
  readonly scene: readonly string[];
  /** A conclusion that names the cause, and the amount if the guest knows it. */
  readonly culprit: RegExp;
  /** A process that only appears to be the cause. */
  readonly innocent: RegExp;
}

/** Starts `outage`, and waits until it has done its work. */
const outage = (...words: readonly (string | number)[]): string =>
  `rm -f /tmp/made; (setsid outage ${words.join(' ')} > /tmp/made 2>&1 &)
   for i in $(seq 600); do [ -s /tmp/made ] && break; usleep 100000; done; grep -q ready /tmp/made || { cat /tmp/made; exit 1; }`;
const KILL =
  'for p in /proc/[0-9]*; do [ "$(readlink $p/exe)" = /bin/outage ] && kill -9 "$(basename $p)"; done; usleep 500000';

const RECEIVE = [
  'cd /proc/sys/net; echo 134217728 | tee core/rmem_max core/wmem_max',
  'cd /proc/sys/net/ipv4; echo 4096 131072 134217728 | tee tcp_rmem tcp_wmem',
];
const SOCKETS: readonly Incident[] = [
  {
    name: 'a TCP connection that is not read, beside a larger database',
    evidence: 'vmcore',
    scene: [...RECEIVE, outage('anon', 60 * MIB, 'database'), outage('tcp', 40 * MIB)],
    culprit: /\(log-collector\).* (39|4\d)(\.\d+)? MiB/,
    innocent: /database|shipper/,
  },
  {
    name: 'small datagrams that are not read, beside a server with many connections',
    evidence: 'vmcore',
    scene: [outage('idle', 200), outage('udp', 24 * MIB)],
    culprit: / 24\.\d MiB .*\(metricsd\)|\(metricsd\).* 24\.\d MiB/,
    innocent: /web|statsd-client/,
  },
  {
    name: 'a local socket that is not read',
    evidence: 'vmcore',
    scene: [outage('anon', 60 * MIB, 'database'), outage('unix', 32 * MIB)],
    culprit: /\(session-bus\).* 3\d(\.\d+)? MiB/,
    innocent: /database|desktop-app/,
  },
];

const CGROUP = [
  'mkdir /cg; mount -t cgroup2 none /cg; echo +memory > /cg/cgroup.subtree_control; mkdir /cg/shop',
  'echo 64M > /cg/shop/memory.max',
];
const MEMORY: readonly Incident[] = [
  {
    name: 'an unmapped memfd, beside a larger cache',
    evidence: 'vmcore',
    scene: [outage('anon', 80 * MIB, 'cachedb'), outage('memfd', 64 * MIB, 'renderer')],
    culprit: /64\.0 MiB.*\(renderer\)/,
    innocent: /cachedb/,
  },
  {
    name: 'output of workers that their supervisor does not read',
    evidence: 'vmcore',
    scene: [outage('anon', 60 * MIB, 'media-cache'), outage('pipes', 48)],
    culprit: /\(supervisor\).* 48\.0 MiB/,
    innocent: /media-cache|worker/,
  },
  {
    name: 'page tables of many processes with the same shared memory',
    evidence: 'vmcore',
    scene: [outage('anon', 120 * MIB, 'analytics'), outage('postgres', 260)],
    culprit: /page tables.*postgres|postgres.*page tables/,
    innocent: /analytics/,
  },
  {
    name: 'objects that a module does not free, beside cached names',
    evidence: 'vmcore',
    scene: [
      outage('lookups', 40_000),
      `insmod /leak.ko rates=0,0,0,0,0,20000
       until set -- $(grep leak_object /proc/leak) && [ $3 -ge ${48 * MIB} ]; do usleep 100000; done
       echo 1 > /sys/module/leak/parameters/paused`,
    ],
    culprit: /(4[89]|5\d)(\.\d+)? MiB of it in kmalloc-1k|kmalloc-1k, (4[89]|5\d)(\.\d+)? MiB/,
    innocent: /dentry|updatedb/,
  },
  {
    name: 'a container at its limit, on a host that has memory',
    evidence: 'log',
    scene: [
      ...CGROUP,
      outage('anon', 120 * MIB, 'database'),
      `sh -c 'echo $$ > /cg/shop/cgroup.procs; outage anon ${20 * MIB} sidecar & usleep 2000000; outage anon ${300 * MIB} checkout' || true`,
    ],
    culprit: /cgroup \/shop was at its limit.*\(checkout\)/,
    innocent: /database|sidecar/,
  },
];

const LOCKS: readonly Incident[] = [
  {
    name: 'tasks behind one lock, beside a busy process and a large one',
    evidence: 'vmcore',
    scene: [
      outage('anon', 150 * MIB, 'ledger'),
      'insmod /locks.ko crowd=13; (setsid sh -c "while :; do :; done" &); sleep 15',
    ],
    culprit: /^12 .*lk_crowd.*\(lk-first\)/,
    innocent: /ledger|\(sh\)/,
  },
];

const PANIC: readonly Incident[] = [
  {
    name: 'a module that follows a bad pointer, beside a large process',
    evidence: 'vmcore',
    scene: [outage('anon', 150 * MIB, 'ledger'), '(sleep 1; insmod /panics.ko what=wild) &'],
    culprit: /^Cause of the kernel panic: .*panics_do \[panics\]/,
    innocent: /ledger/,
  },
];

const LIVE: readonly Incident[] = [
  {
    name: 'a service that grew, behind the page cache of a backup',
    evidence: 'snapshot',
    scene: ['cat /dev/vda > /dev/null', outage('anon', 96 * MIB, 'billing')],
    culprit: /pid \d+ \(billing\).* (9[67])(\.\d+)? MiB|9[67](\.\d+)? MiB.*\(billing\)/,
    innocent: /cat|backup/,
  },
  {
    name: 'threads that never end, beside a larger process',
    evidence: 'snapshot',
    scene: [outage('anon', 96 * MIB, 'billing'), outage('threads', 4500, 'scheduler')],
    culprit: /threads: pid \d+ \(scheduler\), 4,50\d/,
    innocent: /billing/,
  },
];

interface Scenes {
  readonly kernel: LabKernel;
  readonly incidents: readonly Incident[];
  readonly modules?: readonly string[];
  readonly isLive?: boolean;
  readonly append?: string;
}
const GUESTS: readonly Scenes[] = [
  { kernel: '6.1', incidents: SOCKETS },
  { kernel: '6.12', incidents: MEMORY, modules: ['leak'] },
  { kernel: '5.10', incidents: LOCKS, modules: ['locks'] },
  { kernel: 'newest', incidents: PANIC, modules: ['panics'], append: 'panic=0 oops=panic' },
  { kernel: 'newest', incidents: LIVE, isLive: true },
];

describe.each(GUESTS)('in a guest of $kernel', ({ kernel, incidents, ...of }) => {
  const guest = testGuest(kernel);
  let client: McpClient;
  let brought = 0;
  beforeAll(async () => {
    const { modules = [], isLive = false, append = '' } = of;
    await guest.boot({
      kdumpMem: isLive,
      ...(isLive ? {} : { memoryMiB: 480 }),
      append,
      tools: ['outage'],
      insmod: modules,
      // The lab's busybox has neither, and the snapshot script uses both.
      files: isLive ? ['/usr/bin/cksum', '/usr/bin/printenv'].flatMap(machineProgram) : [],
      disks: [{ path: guest.disk('disk', 160), readonly: true }],
    });
    client = await McpClient.connect('--root', guest.path('.'));
  });
  afterAll(() => client?.client.close());

  /**
   * Copies the evidence of an incident to this machine.
   *
   * @returns its name below the root
   */
  async function evidenceOf({ evidence }: Incident): Promise<string> {
    // A file that replaces another is refused once.
    const file = `${++brought}.${{ vmcore: 'vmcore', snapshot: 'tar.gz', log: 'log' }[evidence]}`;
    const path = guest.path(file);
    if (evidence === 'snapshot') await snapshotOf(guest.machine, path);
    if (evidence === 'log') writeFileSync(path, (await guest.run('dmesg')).output);
    if (evidence !== 'vmcore') return file;
    if (of.append?.includes('oops=panic')) await guest.machine.waitFor(/Kernel panic - [^\n]*\n/);
    await guest.machine.pause();
    await guest.machine.dump('elf', path);
    await guest.machine.resume();
    return file;
  }

  test.each(incidents)('$name', async (incident) => {
    for (const line of incident.scene) await guest.run(line);
    const source = await evidenceOf(incident);
    const { culprit, innocent } = incident;
    try {
      const calls = await follow(client, source, culprit, innocent);
      expect(calls.length).toBeLessThanOrEqual(MAX_CALLS);
      console.log(`${incident.name}: ${calls.length} calls`);
    } finally {
      rmSync(guest.path(source));
      if (incident.evidence !== 'vmcore' || !of.append) await guest.run(KILL, { mayFail: true });
    }
  });
});
