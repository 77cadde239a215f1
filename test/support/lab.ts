import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Kernels of the lab; `newest` is the kernel of Debian's newest suite. */
export const LAB_KERNELS = ['5.10', '6.1', '6.12', 'newest'] as const;

/** The suite `kernels` runs every test on all kernels and dumps of the lab, `npm test` on those below. */
/** Whether this run tests all kernels, in the suite `kernels`. */
export const ALL_KERNELS = process.env.KDUMP_MEM_TEST_KERNELS === 'all';
const BRIEF: ReadonlySet<string> = new Set(
  '6.1 newest 6.12-arm64-16k 6.1-kdump 6.1-families newest-families'.split(' '),
);

/** Those of these kernels, dumps or variants (`6.1-numa`) that this run tests. */
export const ofRun = <Name extends string>(names: readonly Name[]): readonly Name[] =>
  names.filter((name) => ALL_KERNELS || BRIEF.has(name));

/** Kernels that this run tests. */
export const KERNELS = ofRun(LAB_KERNELS);
/** Those of which it reads a dump after a panic. */
export const PANICKED_KERNELS = KERNELS.filter((kernel) => ofRun([`${kernel}-kdump`]).length > 0);

/** Kernels for arm64, with 4 KiB or 16 KiB pages. */
export const LAB_ARM64_KERNELS = ['6.12-arm64-16k', '6.12-arm64', '6.1-arm64', 'newest-arm64'] as const;
export type LabKernel = (typeof LAB_KERNELS)[number] | (typeof LAB_ARM64_KERNELS)[number];
/**
 * Kernels of guests without a dump, including the one of scripts/lab-parts/own-kernel.mjs. 6.1-rt has PREEMPT_RT,
 * newest-generic has DRM and no vmlinux.
 */
export type GuestKernel = LabKernel | 'newest-profiled' | '6.1-rt' | 'newest-generic';

/** Kernels whose /proc/vmcore makedumpfile does not support: the lab copies it. */
export type LabOnlyCopied = Exclude<(typeof LAB_ARM64_KERNELS)[number], '6.1-arm64'>;

/** Dumps of a paused guest by QEMU; the suffix of the kernel's name describes the variant. */
const LAB_DUMPS = [...LAB_KERNELS, '6.1-la57'] as const;
/** Those that this run tests. */
export const DUMPS = ofRun(LAB_DUMPS);
/** Variants for arm64; `-max` has pointer authentication and 52-bit addresses. */
export type LabArm64DumpName = (typeof LAB_ARM64_KERNELS)[number] | `${(typeof LAB_ARM64_KERNELS)[number]}-max`;
export type LabDumpName =
  | (typeof LAB_DUMPS)[number]
  | `${(typeof LAB_KERNELS)[number]}-${'la57' | 'numa' | '4g'}`
  | LabArm64DumpName;

/** Formats that makedumpfile creates from one kdump; `split` has several files. */
export const KDUMP_FORMATS = {
  'lzo-d31': ['lzo-d31.vmcore'],
  'zlib-d31': ['zlib-d31.vmcore'],
  'zstd-d31': ['zstd-d31.vmcore'],
  /** Uncompressed. */
  'raw-d31': ['raw-d31.vmcore'],
  'flattened-d31': ['flattened-d31.vmcore'],
  'elf-d31': ['elf-d31.vmcore'],
  'split-d31': ['split-d31.vmcore.1', 'split-d31.vmcore.2', 'split-d31.vmcore.3'],
  'lzo-d17': ['lzo-d17.vmcore'],
  'lzo-d0': ['lzo-d0.vmcore'],
  /** A copy of /proc/vmcore. */
  elf: ['elf.vmcore'],
} as const satisfies Record<string, readonly string[]>;
export type KdumpFormat = keyof typeof KDUMP_FORMATS;

/** Programs in the lab's `bin`, each a wrapper that execs the program (same pid). */
export type LabTool = 'crash' | 'crash-8.0.2' | 'drgn' | 'makedumpfile' | 'python3';

/** A dump of the scenario, with the records of the guest and of drgn. Paths are absolute. */
export interface LabDump {
  readonly kernel: LabKernel;
  readonly folder: string;
  /** Created by QEMU from one paused guest: the same memory in two formats. */
  readonly elf: string;
  readonly kdumpZlib: string;
  readonly truth: Truth;
  readonly oracle: Oracle;
}

/** A copy of /proc/vmcore, created by a capture kernel after a panic. */
export type LabVmcore = Omit<LabDump, 'kdumpZlib'>;

/** A real kdump of the scenario: one panic, many formats. */
export interface LabKdump extends LabVmcore {
  readonly formats: Readonly<Record<KdumpFormat, readonly string[]>>;
}

export interface LabKernelFiles {
  /** `uname -r`. */
  readonly release: string;
  /** With debug information. */
  readonly vmlinux: string;
  readonly systemMap: string;
  readonly config: string;
}

/** Data that the guest's program knew, and data that its kernel reported to user space, before the dump. */
export interface Truth {
  readonly release: string;
  readonly pageSize: number;
  readonly kernelThread: { readonly pid: number; readonly comm: string };
  readonly roles: readonly Role[];
  readonly hidden: readonly Hidden[];
}

/** A socket that no process has open. Null if there is none, or if it is unknown. */
export interface Hidden {
  readonly name: string;
  readonly note: string;
  /** The reason why it still exists. */
  readonly how: 'scm' | 'accept' | 'orphan' | 'io_uring';
  /** Pid of the process that created it. */
  readonly pid: number;
  readonly inode: number | null;
  /** Inode of the socket in whose queue it waits, in a message or to be accepted. */
  readonly carrier: number | null;
  /** Payload of the receive queue and of the send queue. */
  readonly bytes: number | null;
  readonly unsent: number | null;
  readonly local: string | null;
  readonly peer: string | null;
}

export interface Role {
  readonly name: string;
  readonly note: string;
  readonly kind: 'socket' | 'not-a-socket' | 'not-open';
  readonly pid: number;
  /** One character per byte (latin-1), since names can be hostile. */
  readonly comm: string;
  readonly fd: number;
  /** Entries and payload bytes of the receive queue by construction; null if unknown. */
  readonly skbs: number | null;
  readonly bytes: number | null;
  readonly outOfOrder: QueueContent;
  readonly retransmit: QueueContent;
  readonly error: QueueContent;
  /** Bytes that the process has read. */
  readonly consumed: number;
  /** Threads are distinguished by `tid`. */
  readonly holders: readonly Holder[];
  readonly socket?: TruthSocket;
}

/** Contents of a queue by construction; null if unknown. */
export interface QueueContent {
  readonly skbs: number | null;
  readonly bytes: number | null;
}

export interface Holder {
  readonly pid: number;
  readonly tid: number;
  readonly fd: number;
  readonly comm: string;
}

export interface TruthSocket {
  readonly inode: number;
  readonly family: number;
  readonly type: number;
  readonly protocol: number;
  readonly tcpState: number | null;
  readonly netns: number;
  readonly local: string | null;
  readonly peer: string | null;
  /** FIONREAD: unread bytes; for UDP, those of the first datagram. Null if the call would disturb the socket. */
  readonly unread: number | null;
  /** SIOCOUTQ. */
  readonly unsent: number | null;
  readonly meminfo: MemInfo;
}

/**
 * The nine values of SO_MEMINFO: bytes, and `drops`, a count. Timers run between the call and the
 * dump: `drops` of roles stuffed-reader and orphan-reader and `wmemAlloc`, `fwdAlloc` of unacknowledged can be older.
 */
export interface MemInfo {
  readonly rmemAlloc: number;
  readonly rcvbuf: number;
  readonly wmemAlloc: number;
  readonly sndbuf: number;
  readonly fwdAlloc: number;
  readonly wmemQueued: number;
  readonly optmem: number;
  readonly backlog: number;
  readonly drops: number;
}

/** Data that drgn finds with the kernel's debug information: every socket that a descriptor leads to. */
export interface Oracle {
  readonly release: string;
  readonly sockets: readonly OracleSocket[];
}

export interface OracleSocket {
  /** Addresses of the `file`, `socket` and `sock`, in hex. */
  readonly file: string;
  readonly socket: string;
  readonly sock: string;
  readonly inode: number;
  readonly holders: readonly (Holder & { readonly commHex: string })[];
  readonly family: string;
  readonly type: string;
  readonly protocol: string;
  readonly state: string;
  readonly local: string | null;
  readonly peer: string | null;
  readonly netns: number;
  readonly numbers: {
    readonly family: number;
    readonly type: number;
    readonly protocol: number;
    readonly state: number;
  };
  readonly meminfo: MemInfo;
  readonly queues: Readonly<Record<string, OracleFigures>>;
  readonly total: OracleFigures;
  readonly pages: Readonly<Record<string, readonly OraclePage[]>>;
}

/** `Q` of the JSON contract, and the slab slots by cache. */
export interface OracleFigures {
  readonly skbs: number;
  readonly payloadBytes: number;
  readonly truesizeBytes: number;
  readonly frags: number;
  readonly maxFragsPerSkb: number;
  readonly pages: number;
  readonly orders: Readonly<Record<string, number>>;
  readonly pageBytes: number;
  readonly slabBytes: number;
  readonly pinnedBytes: number;
  readonly complete: boolean;
  readonly slabSlots: Readonly<Record<string, number>>;
}

/** A distinct allocation that a queue holds. */
export interface OraclePage {
  /** Address of the head `struct page`, in hex. */
  readonly page: string;
  readonly pfn: number;
  readonly order: number;
  readonly refcount: number;
  /** References to it from this queue. */
  readonly references: number;
}

/** An error for a missing part of the lab; the message names the step that creates it. */
export class LabMissing extends Error {
  constructor(path: string, step: string) {
    super(`${path} is missing: run scripts/lab ${step}`);
    this.name = 'LabMissing';
  }
}

const REPO = fileURLToPath(new URL('../../', import.meta.url));

/** The lab's folder: `.lab` in the repository, or $KDUMP_MEM_LAB. */
export const LAB = process.env.KDUMP_MEM_LAB ?? join(REPO, '.lab');

/** @throws {LabMissing} */
export function labTool(name: LabTool): string {
  return need(join(LAB, 'bin', name), 'tools');
}

/** A small Debian of a suite, to install packages in; `scripts/lab root SUITE` creates it. */
export function labRoot(suite: string): string {
  const root = join(LAB, 'roots', suite);
  need(join(root, 'ready'), `root ${suite}`);
  return root;
}

/** Libraries and programs for arm64, in a folder with the layout of /. */
export function labArm64Tools(): string {
  const root = join(LAB, 'tools-arm64');
  need(join(root, 'ready'), 'tools-arm64');
  return root;
}

/** @throws {LabMissing} */
export function labKernel(kernel: GuestKernel): LabKernelFiles {
  const file = (name: string) => need(join(LAB, 'kernels', kernel, name), `kernel ${kernel}`);
  return {
    release: readFileSync(file('release'), 'utf8').trim(),
    vmlinux: file('vmlinux'),
    systemMap: file('System.map'),
    config: file('config'),
  };
}

/** @throws {LabMissing} */
export function labDump(name: LabDumpName): LabDump {
  const folder = join(LAB, 'dumps', name);
  return {
    kernel: kernelOf(name),
    folder,
    elf: need(join(folder, 'elf.vmcore'), `dump ${name}`),
    kdumpZlib: need(join(folder, 'kdump-zlib.vmcore'), `dump ${name}`),
    truth: readJson<Truth>(join(folder, 'truth.json'), `dump ${name}`),
    oracle: readJson<Oracle>(join(folder, 'oracle.json'), `oracle ${name}`),
  };
}

/** The zlib pages of the dump, recompressed with codecs that QEMU lacks. @throws {LabMissing} */
export function labRecompressed(name: LabDumpName): { lzo: string; snappy: string } {
  const folder = join(LAB, 'dumps', name);
  const file = (codec: string) => need(join(folder, `kdump-${codec}.vmcore`), `recompress ${name}`);
  return { lzo: file('lzo'), snappy: file('snappy') };
}

/** @throws {LabMissing} */
export function labVmcore(kernel: LabKernel): LabVmcore {
  const name = `${kernel}-kdump`;
  const folder = join(LAB, 'dumps', name);
  return {
    kernel,
    folder,
    elf: need(join(folder, KDUMP_FORMATS.elf[0]), `dump ${name}`),
    truth: readJson<Truth>(join(folder, 'truth.json'), `dump ${name}`),
    oracle: readJson<Oracle>(join(folder, 'oracle.json'), `oracle ${name}`),
  };
}

/** @throws {LabMissing} */
export function labKdump(kernel: Exclude<LabKernel, LabOnlyCopied>): LabKdump {
  const copy = labVmcore(kernel);
  const formats = Object.fromEntries(
    Object.entries(KDUMP_FORMATS).map(([format, files]) => [
      format,
      files.map((file) => need(join(copy.folder, file), `dump ${kernel}-kdump`)),
    ]),
  ) as Record<KdumpFormat, string[]>;
  return { ...copy, formats };
}

/** makedumpfile's zlib-d31, recompressed with snappy, which Debian's build lacks. @throws {LabMissing} */
export function labKdumpSnappy(kernel: LabKernel): string {
  const path = join(LAB, 'dumps', `${kernel}-kdump`, 'snappy-d31.vmcore');
  return need(path, `recompress ${kernel}-kdump`);
}

/**
 * The order of the allocation that begins at a page frame, from the guest's own /proc/kpageflags just
 * before the dump: a compound head and its tails. It is independent of a walk over `struct page`.
 *
 * @returns pfn → order; undefined for a page inside an allocation.
 * @throws {LabMissing}
 */
export function labPageOrders(name: LabDumpName): (pfn: number) => number | undefined {
  const path = need(join(LAB, 'dumps', name, 'kpageflags'), `dump ${name}`);
  const bytes = readFileSync(path);
  // include/uapi/linux/kernel-page-flags.h
  const flag = (pfn: number, bit: number) => ((bytes.at(pfn * 8 + (bit >> 3)) ?? 0) & (1 << (bit & 7))) !== 0;
  const KPF_COMPOUND_HEAD = 15;
  const KPF_COMPOUND_TAIL = 16;
  return (pfn) => {
    if (flag(pfn, KPF_COMPOUND_TAIL)) return undefined;
    if (!flag(pfn, KPF_COMPOUND_HEAD)) return 0;
    let pages = 1;
    while (flag(pfn + pages, KPF_COMPOUND_TAIL)) pages++;
    return Math.log2(pages);
  };
}

/** The role with that name; the scenario's source (scripts/lab-parts/guest) lists them. */
export function role(truth: Truth, name: string): Role {
  const found = truth.roles.find((one) => one.name === name);
  if (!found) throw new Error(`the scenario has no role called ${name}`);
  return found;
}

/** drgn's record of the socket behind a descriptor of a process. */
export function oracleSocket(oracle: Oracle, pid: number, fd: number): OracleSocket {
  const found = oracle.sockets.find(({ holders }) => holders.some((holder) => holder.pid === pid && holder.fd === fd));
  if (!found) throw new Error(`drgn found no socket behind fd ${fd} of pid ${pid}`);
  return found;
}

/** The file comes from the lab: its type is not checked. */
function readJson<T>(path: string, step: string): T {
  return JSON.parse(readFileSync(need(path, step), 'utf8')) as T;
}

/** The kernel of a dump. */
export function kernelOf(name: LabDumpName): LabKernel {
  // Longer names first: 6.12-arm64-max does not belong to 6.12.
  const found = [...LAB_ARM64_KERNELS, ...LAB_KERNELS].find(
    (kernel) => name === kernel || name.startsWith(`${kernel}-`),
  );
  if (!found) throw new Error(`${name} is of no kernel of the lab`);
  return found;
}

function need(path: string, step: string): string {
  if (!existsSync(path)) throw new LabMissing(path, step);
  return path;
}
