import { KernelError, ReadError } from '../base/errors/kernel.js';
import type { Kernel } from '../kernel/kernel.js';
import { MemoryCgroups } from './cgroups/memory-cgroups.js';
import { MappedFileReader } from './files/mapped-file.js';
import { Mounts } from './files/mounts.js';
import { readClock } from './machine/clock.js';
import { cpuLists } from './memory/cpu-lists.js';
import { kindTest, tablesHaveType } from './memory/page-kinds.js';
import { perfRingFrames } from './memory/perf-rings.js';
import { PipeReader } from './memory/pipes.js';
import { SlabCacheNames } from './memory/slab-cache-names.js';
import { traceRingFrames } from './memory/trace-rings.js';
import { vmAreas } from './memory/vm-areas.js';
import { zones } from './memory/zones.js';
import { NapiReader } from './network/gro.js';
import { neighbourSkbs } from './network/neighbours.js';
import { netDevices } from './network/net-devices.js';
import { QdiscReader } from './network/qdisc.js';
import { fragmentSkbs } from './network/reassembly.js';
import { softnetSkbs } from './network/softnet.js';
import { PageReader } from './pages/pages.js';
import { skbCaches } from './pages/skb-caches.js';
import { SlabScan } from './pages/slab-scan.js';
import { NodeCounters, ZoneCounters } from './pages/vm-counters.js';
import { PidNumberReader } from './processes/pid-numbers.js';
import { ResidentCountReader } from './processes/resident-counts.js';
import { SkbLists } from './queues/skb-lists.js';
import { QueueReader } from './queues.js';
import { SharedInfo } from './skbs/skb.js';
import { TcpCharges } from './sockets/charges.js';
import { SockReader } from './sockets/sock.js';
import { SocketFinder } from './sockets/socket.js';
import { SocketLinks } from './sockets/socket-links.js';
import { Arm64Unwinder } from './stacks/arm64-unwinder.js';
import { FramePointerUnwinder } from './stacks/frame-pointer-unwinder.js';
import { CgroupReader } from './tasks/cgroup.js';
import { TaskReader } from './tasks/tasks.js';
import { Warnings } from './warnings.js';

/** A command that answers without a part, since this kernel's types or symbols do not lead to it. */
export interface Limit {
  readonly command: string;
  readonly part: string;
  readonly code: LimitCode;
  readonly why: string;
}

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
    'page tables': (kernel) => {
      if (!tablesHaveType(kernel))
        throw new KernelError('unsupported-layout', 'pages are not marked as page tables');
    },
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

/** What a kernel without a type, a member or a symbol ends in. */
export const LIMIT_CODES = ['unsupported-layout', 'no-symbols'] as const;
export type LimitCode = (typeof LIMIT_CODES)[number];

/**
 * Names the parts that commands leave out on this kernel. Only types and symbols are looked at: memory that a dump
 * lacks is no limit of its kernel.
 *
 * @throws {KernelError} where there are no types
 */
export function limitsOf(kernel: Kernel): Limit[] {
  const { facts, pages } = kernel;
  const blind: Kernel = {
    facts,
    pages,
    symbol: (name) => kernel.symbol(name),
    symbolAt: () => undefined,
    struct: (name) => kernel.struct(name),
    enumerators: (name) => kernel.enumerators(name),
    read: (address) => {
      throw new ReadError('absent', address);
    },
    noteReads: () => () => {},
    close: () => {},
  };
  return Object.entries(WALKERS).flatMap(([command, parts]) =>
    Object.entries(parts).flatMap(([part, make]): Limit[] => {
      try {
        make(blind);
        return [];
      } catch (error) {
        if (error instanceof ReadError) return [];
        if (!(error instanceof KernelError)) throw error;
        const code = LIMIT_CODES.find((one) => one === error.code);
        if (code === undefined) throw error;
        return [{ command, part, code, why: error.message.replace(/; it has .*/, '') }];
      }
    }),
  );
}
