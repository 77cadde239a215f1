import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Kernels of the lab; `newest` is whatever Debian's newest suite has. */
export const LAB_KERNELS = ['5.10', '6.1', '6.12', 'newest'] as const;
export type LabKernel = (typeof LAB_KERNELS)[number];

/** Programs in the lab's `bin`, each a wrapper that becomes the program (same pid). */
export type LabTool = 'crash' | 'crash-8.0.2' | 'drgn' | 'makedumpfile' | 'python3';

/** A dump of the scenario, with what the guest and drgn say of it. Paths are absolute. */
export interface LabDump {
  readonly folder: string;
  /** Made by QEMU from one paused guest: the same memory in two formats. */
  readonly elf: string;
  readonly kdumpZlib: string;
  readonly truth: Truth;
  readonly oracle: Oracle;
}

export interface LabKernelFiles {
  /** `uname -r`. */
  readonly release: string;
  /** With debug information. */
  readonly vmlinux: string;
  readonly systemMap: string;
  readonly config: string;
}

/** What the guest's program knew of itself, and what its kernel told user space, before the dump. */
export interface Truth {
  readonly release: string;
  readonly pageSize: number;
  readonly kernelThread: { readonly pid: number; readonly comm: string };
  readonly roles: readonly Role[];
}

export interface Role {
  readonly name: string;
  readonly note: string;
  readonly kind: 'socket' | 'not-a-socket' | 'not-open';
  readonly pid: number;
  /** One character a byte (latin-1): names can be hostile. */
  readonly comm: string;
  readonly fd: number;
  /** Entries and payload bytes of the receive queue by construction; null where not known. */
  readonly skbs: number | null;
  readonly bytes: number | null;
  /** Bytes that the process has read. */
  readonly consumed: number;
  /** Threads are told apart by `tid`. */
  readonly holders: readonly Holder[];
  readonly socket?: TruthSocket;
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
  /** FIONREAD: bytes unread; of UDP, the first datagram's. Null where asking would disturb. */
  readonly unread: number | null;
  /** SIOCOUTQ. */
  readonly unsent: number | null;
  readonly meminfo: MemInfo;
}

/** SO_MEMINFO's nine values: bytes, and `drops`, a count. */
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

/** What drgn finds with the kernel's debug information: every socket that any descriptor leads to. */
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

/** A unique allocation that a queue holds. */
export interface OraclePage {
  /** Address of the head `struct page`, in hex. */
  readonly page: string;
  readonly pfn: number;
  readonly order: number;
  readonly refcount: number;
  /** References to it found in this queue. */
  readonly references: number;
}

/** Something of the lab is missing; the message names the step that makes it. */
export class LabMissing extends Error {
  constructor(path: string, step: string) {
    super(`${path} is missing: run scripts/lab ${step}`);
    this.name = 'LabMissing';
  }
}

const REPO = fileURLToPath(new URL('../../', import.meta.url));

/** The lab's folder: `.lab` of the repository, or $KDUMP_MEM_LAB. */
export const LAB = process.env.KDUMP_MEM_LAB ?? join(REPO, '.lab');

/** @throws {LabMissing} */
export function labTool(name: LabTool): string {
  return need(join(LAB, 'bin', name), 'tools');
}

/** @throws {LabMissing} */
export function labKernel(kernel: LabKernel): LabKernelFiles {
  const file = (name: string) => need(join(LAB, 'kernels', kernel, name), `kernel ${kernel}`);
  return {
    release: readFileSync(file('release'), 'utf8').trim(),
    vmlinux: file('vmlinux'),
    systemMap: file('System.map'),
    config: file('config'),
  };
}

/** @throws {LabMissing} */
export function labDump(kernel: LabKernel): LabDump {
  const folder = join(LAB, 'dumps', kernel);
  return {
    folder,
    elf: need(join(folder, 'elf.vmcore'), `dump ${kernel}`),
    kdumpZlib: need(join(folder, 'kdump-zlib.vmcore'), `dump ${kernel}`),
    truth: readJson<Truth>(join(folder, 'truth.json'), `dump ${kernel}`),
    oracle: readJson<Oracle>(join(folder, 'oracle.json'), `oracle ${kernel}`),
  };
}

/** The role of that name; the scenario's source (scripts/lab-parts/guest) lists them. */
export function role(truth: Truth, name: string): Role {
  const found = truth.roles.find((one) => one.name === name);
  if (!found) throw new Error(`the scenario has no role called ${name}`);
  return found;
}

/** What drgn says of the socket behind a descriptor of a process. */
export function oracleSocket(oracle: Oracle, pid: number, fd: number): OracleSocket {
  const found = oracle.sockets.find(({ holders }) =>
    holders.some((holder) => holder.pid === pid && holder.fd === fd),
  );
  if (!found) throw new Error(`drgn found no socket behind fd ${fd} of pid ${pid}`);
  return found;
}

/** The file is the lab's own: its type is taken on trust. */
function readJson<T>(path: string, step: string): T {
  return JSON.parse(readFileSync(need(path, step), 'utf8')) as T;
}

function need(path: string, step: string): string {
  if (!existsSync(path)) throw new LabMissing(path, step);
  return path;
}
