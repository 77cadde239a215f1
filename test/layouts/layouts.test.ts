import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { KernelError, ReadError } from '../../src/kernel/error.js';
import type { Kernel } from '../../src/kernel/kernel.js';
import { openTypesFile } from '../../src/kernel/native/foreign-types/open.js';
import { MemoryCgroups } from '../../src/walk/cgroups/memory-cgroups.js';
import { MappedFileReader } from '../../src/walk/files/mapped-file.js';
import { Mounts } from '../../src/walk/files/mounts.js';
import { readClock } from '../../src/walk/machine/clock.js';
import { cpuLists } from '../../src/walk/memory/cpu-lists.js';
import { kindTest } from '../../src/walk/memory/page-kinds.js';
import { perfRingFrames } from '../../src/walk/memory/perf-rings.js';
import { PipeReader } from '../../src/walk/memory/pipes.js';
import { SlabCacheNames } from '../../src/walk/memory/slab-cache-names.js';
import { traceRingFrames } from '../../src/walk/memory/trace-rings.js';
import { vmAreas } from '../../src/walk/memory/vm-areas.js';
import { zones } from '../../src/walk/memory/zones.js';
import { NapiReader } from '../../src/walk/network/gro.js';
import { neighbourSkbs } from '../../src/walk/network/neighbours.js';
import { netDevices } from '../../src/walk/network/net-devices.js';
import { QdiscReader } from '../../src/walk/network/qdisc.js';
import { fragmentSkbs } from '../../src/walk/network/reassembly.js';
import { softnetSkbs } from '../../src/walk/network/softnet.js';
import { PageReader } from '../../src/walk/pages/pages.js';
import { skbCaches } from '../../src/walk/pages/skb-caches.js';
import { SlabScan } from '../../src/walk/pages/slab-scan.js';
import { NodeCounters, ZoneCounters } from '../../src/walk/pages/vm-counters.js';
import { PidNumberReader } from '../../src/walk/processes/pid-numbers.js';
import { ResidentCountReader } from '../../src/walk/processes/resident-counts.js';
import { SkbLists } from '../../src/walk/queues/skb-lists.js';
import { QueueReader } from '../../src/walk/queues.js';
import { SharedInfo } from '../../src/walk/skbs/skb.js';
import { TcpCharges } from '../../src/walk/sockets/charges.js';
import { SockReader } from '../../src/walk/sockets/sock.js';
import { SocketFinder } from '../../src/walk/sockets/socket.js';
import { SocketLinks } from '../../src/walk/sockets/socket-links.js';
import { Arm64Unwinder } from '../../src/walk/stacks/arm64-unwinder.js';
import { FramePointerUnwinder } from '../../src/walk/stacks/frame-pointer-unwinder.js';
import { CgroupReader } from '../../src/walk/tasks/cgroup.js';
import { TaskReader } from '../../src/walk/tasks/tasks.js';
import { Warnings } from '../../src/walk/warnings.js';
import { layoutKernel } from '../support/layout-kernel.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Types of kernels: raw BTF (.btf) or packed (.btf.xz). */
const FOLDER = process.env.KDUMP_MEM_TYPES ?? join(ROOT, '../shared/types');

/** Each walker as its command makes it; generators are asked for their first result. */
const WALKERS: Readonly<Record<string, Readonly<Record<string, (kernel: Kernel) => unknown>>>> = {
  skb: {
    socket: (kernel) => new SocketFinder(kernel),
    sock: (kernel) => new SockReader(kernel),
    queues: (kernel) => new QueueReader(kernel),
    skb: (kernel) => new SharedInfo(kernel),
    pages: (kernel) => new PageReader(kernel),
  },
  sockets: {
    slabs: (kernel) => new SlabScan(kernel, new Warnings()),
    links: (kernel) => new SocketLinks(kernel, new Warnings()),
    'skb caches': (kernel) => skbCaches(kernel),
    fragments: (kernel) => [...fragmentSkbs(kernel, new SkbLists(kernel))],
    devices: (kernel) => netDevices(kernel).next(),
    GRO: (kernel) => new NapiReader(kernel, new SkbLists(kernel)),
    qdiscs: (kernel) => new QdiscReader(kernel, new SkbLists(kernel)),
    neighbours: (kernel) => neighbourSkbs(kernel, new SkbLists(kernel)).next(),
    'CPU queues': (kernel) => softnetSkbs(kernel, new SkbLists(kernel)).next(),
    charges: (kernel) => new TcpCharges(kernel),
  },
  memory: {
    kinds: (kernel) => kindTest(kernel),
    zones: (kernel) => zones(kernel),
    counters: (kernel) => [new NodeCounters(kernel), new ZoneCounters(kernel)],
    'per-CPU lists': (kernel) => cpuLists(kernel).next(),
    vmalloc: (kernel) => vmAreas(kernel).next(),
    caches: (kernel) => new SlabCacheNames(kernel),
    pipes: (kernel) => new PipeReader(kernel),
    files: (kernel) => new MappedFileReader(kernel),
    mounts: (kernel) => new Mounts(kernel),
    cgroups: (kernel) => new MemoryCgroups(kernel),
    'perf rings': (kernel) => perfRingFrames(kernel, function* () {}).next(),
    'trace rings': (kernel) => traceRingFrames(kernel).next(),
  },
  procs: {
    tasks: (kernel) => new TaskReader(kernel),
    pids: (kernel) => new PidNumberReader(kernel),
    cgroup: (kernel) => new CgroupReader(kernel),
    'resident pages': (kernel) => new ResidentCountReader(kernel),
    clock: (kernel) => readClock(kernel),
  },
  stacks: {
    unwinder: (kernel) =>
      kernel.facts.arch === 'arm64' ? new Arm64Unwinder(kernel) : new FramePointerUnwinder(kernel),
  },
  log: {
    records: (kernel) => {
      if (!kernel.struct('printk_log') && !kernel.struct('printk_ringbuffer'))
        throw new KernelError('unsupported-layout', 'neither printk_log nor printk_ringbuffer');
    },
  },
};

/** Parts of an answer that a kernel's types do not lead to. Anything else that is thrown fails the test. */
function lacks(kernel: Kernel, parts: (typeof WALKERS)[string]): string[] {
  return Object.entries(parts).flatMap(([part, make]) => {
    try {
      make(kernel);
      return [];
    } catch (error) {
      if (error instanceof ReadError) return [];
      if (error instanceof KernelError && error.code === 'unsupported-layout')
        return [`${part}: ${error.message.replace(/; it has .*/, '')}`];
      throw error;
    }
  });
}

const files = existsSync(FOLDER)
  ? readdirSync(FOLDER).filter((name) => /\.(btf|json)(\.xz)?$/.test(name))
  : [];

test.skipIf(files.length === 0)(
  'every walker’s structs are in the types of each kernel, or are named (skipped where no folder of types is)',
  { timeout: 300_000 },
  () => {
    const table = files.map((name) => {
      const path = join(FOLDER, name);
      const options = { maxBuffer: 256 << 20 };
      const types = () =>
        name.endsWith('.xz') ? execFileSync('xz', ['-dc', path], options) : readFileSync(path);
      const from = name.includes('.json') ? openTypesFile(path).load() : types();
      const kernel = layoutKernel(from, /aarch64|arm64/.test(name) ? 'arm64' : 'x86_64');
      const found = Object.entries(WALKERS).map(
        ([command, parts]) => [command, lacks(kernel, parts)] as const,
      );
      return [name, Object.fromEntries(found)] as const;
    });
    if (process.env.KDUMP_MEM_LAYOUTS) process.stdout.write(`${JSON.stringify(table, null, 1)}\n`);
    for (const [name, found] of table) {
      // Volatility's tables lack members of unions; what EL7's 3.10 lacks, docs/types.md lists.
      if (name.includes('.json')) {
        if (name.includes('4.18.0'))
          for (const command of ['procs', 'stacks', 'log'])
            expect([name, command, found[command]]).toEqual([name, command, []]);
        continue;
      }
      // These answer on every kernel from 4.14 on; what memory leaves out is said in its answer.
      for (const command of Object.keys(WALKERS))
        expect([name, command, found[command]]).toEqual([name, command, []]);
    }
  },
);
