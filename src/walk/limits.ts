import { KernelError, ReadError, unsupportedLayout } from '../base/errors.js';
import type { Limit } from '../contracts/info.js';
import type { Kernel } from '../kernel/kernel.js';
import { MemoryCgroups } from './cgroups/memory-cgroups.js';
import { MappedFileReader } from './files/mapped-file.js';
import { Mounts } from './files/mounts.js';
import { readClock } from './machine/clock.js';
import { PipeReader } from './memory/open-files.js';
import { kindTest, tablesHaveType } from './memory/page-kinds.js';
import { perfRingFrames, traceRingFrames } from './memory/rings.js';
import { vmAreas } from './memory/vm-areas.js';
import { cpuLists, zones } from './memory/zones.js';
import { neighbourSkbs } from './network/neighbours.js';
import { netDevices } from './network/net-devices.js';
import { QdiscReader } from './network/qdisc.js';
import { fragmentSkbs } from './network/reassembly.js';
import { NapiReader, softnetSkbs } from './network/softnet.js';
import { PageReader } from './pages/pages.js';
import { SlabCacheNames, skbCaches } from './pages/slab-caches.js';
import { SlabScan } from './pages/slab-scan.js';
import { NodeCounters, ZoneCounters } from './pages/vm-counters.js';
import { ResidentCountReader } from './processes/address-spaces.js';
import { PidNumberReader } from './processes/process-facts.js';
import { SkbLists } from './queues/skb-lists.js';
import { QueueReader } from './queues.js';
import { SharedInfo } from './skbs/skb.js';
import { SockReader } from './sockets/sock.js';
import { SocketFinder } from './sockets/socket.js';
import { SocketLinks } from './sockets/socket-links.js';
import { TcpCharges } from './sockets/tcp.js';
import { Arm64Unwinder } from './stacks/arm64-unwinder.js';
import { FramePointerUnwinder } from './stacks/frame-pointer-unwinder.js';
import { CgroupReader } from './tasks/cgroup.js';
import { TaskReader } from './tasks/tasks.js';
import { Warnings } from './warnings.js';

/** Creates each walker as its command does; only the first result of a generator is read. */
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
      if (!tablesHaveType(kernel)) throw unsupportedLayout('pages are not marked as page tables');
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
        throw unsupportedLayout('neither printk_log nor printk_ringbuffer');
    },
  },
};

/** Errors of a kernel without a type, a member or a symbol. */
const LIMIT_CODES: readonly Limit['code'][] = ['unsupported-layout', 'no-symbols'];

/**
 * Returns the parts that commands omit on this kernel, according to its types and symbols. Memory missing in
 * a dump is not a limit of the kernel.
 *
 * @throws {KernelError} without types
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
        const code = LIMIT_CODES.find((limit) => limit === error.code);
        if (code === undefined) throw error;
        return [{ command, part, code, why: error.message.replace(/; it has .*/, '') }];
      }
    }),
  );
}
