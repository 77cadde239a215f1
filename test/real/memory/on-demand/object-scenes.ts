import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect } from 'vitest';
import { machineProgram } from '../../../../scripts/lab-parts/programs.mjs';
import { type MemoryJson, memorySchema } from '../../../../src/contracts/memory.js';
import { triageSchema } from '../../../../src/contracts/triage.js';
import { jsonInGuest, type TestGuestOptions, testGuest } from '../../../support/guest.js';
import type { GuestKernel } from '../../../support/lab.js';
import { expectNamed } from '../../../support/named-growth.js';

/** What a scene is seen with: how it is hidden, and sources of `memory`. */
export const SOURCES = [
  ['with /proc/kcore', 'true', ['--live']],
  ['without /proc/kcore', 'mount --bind /dev/null /proc/kcore', ['--live --source counters']],
] as const;

const DIAG = ['inet_diag', 'tcp_diag', 'udp_diag', 'unix_diag', 'af_packet_diag', 'netlink_diag', 'raw_diag'];
const PROGRAMS = ['/usr/bin/perl', '/usr/bin/ss'].flatMap(machineProgram);

/** A guest whose kernel keeps objects for objects.pl. */
export function objectScenes(
  hide: string,
  sources: readonly string[],
  // Of the kernels of the lab, this one has the modules of a normal distribution.
  {
    kernel = '6.1-rt',
    modules = [],
    ...options
  }: Pick<TestGuestOptions, 'modules' | 'qemu'> & { kernel?: GuestKernel },
) {
  const guest = testGuest(kernel);

  beforeAll(async () => {
    await guest.boot({
      kdumpMem: true,
      memoryMiB: 1536,
      modules: [...DIAG, ...modules],
      files: [...PROGRAMS, { path: 'objects.pl', data: readFileSync(join(import.meta.dirname, 'objects.pl')) }],
      ...options,
    });
    await guest.run(`${hide}; mkdir -p /sys/fs/cgroup /run/decoy; mount -t tmpfs none /run/decoy
      [ -e /sys/fs/cgroup/cgroup.controllers ] || mount -t cgroup2 none /sys/fs/cgroup
      echo +memory > /sys/fs/cgroup/cgroup.subtree_control`);
  });

  const answers = async (): Promise<MemoryJson[]> => {
    const all: MemoryJson[] = [];
    for (const source of sources) all.push(memorySchema.parse(await jsonInGuest(guest, `memory ${source}`)));
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
      `rm -f /tmp/${kind}; (ulimit -n 50000; perl /objects.pl ${kind} ${count} > /tmp/${kind} 2>&1 &)
       until [ -s /tmp/${kind} ]; do usleep 100000; done; cat /tmp/${kind}`,
    );
    expect(pid).toMatch(/^\d+\n$/);
    return Number(pid);
  };
  const end = async (...pids: readonly number[]) => {
    const isThere = pids.map((pid) => `[ -e /proc/${pid} ]`).join(' || ');
    await guest.run(`kill ${pids.join(' ')}; while ${isThere}; do usleep 100000; done`);
  };
  const findings = async () => triageSchema.parse(await jsonInGuest(guest, 'triage --live'));
  const findingOf = async (wanted: string) => {
    const { findings: all, unread } = await findings();
    const own = all.filter(({ code }) => code === wanted);
    expect(own, JSON.stringify([all, unread])).toHaveLength(1);
    return own[0]!;
  };
  return { guest, answers, compared, start, end, findings, findingOf };
}
