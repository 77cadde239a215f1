import { grouped } from '../../base/util.js';
import type { NamedMemory } from '../../records/named-memory.js';

/** The link of a descriptor of io_uring. */
export const URING_LINK = 'anon_inode:[io_uring]';

/** Lines of its fdinfo without names of files and requests: a snapshot has these only. */
export const URING_LINES = '^(ino|UserBufs):|^ *[0-9]+: (0x[0-9a-f]+/[0-9]+|<none>)$';

/** IORING_MAX_REG_BUFFERS of io_uring/rsrc.c. */
const MAX_BUFFERS = 16_384;
const MAX_RINGS = 100_000;
const HEADING = '\nUserBufs:\t';

type Range = readonly [start: number, end: number];

interface Ring {
  /** Undefined: the kernel does not report it (before 5.14). */
  readonly inode: string | undefined;
  /** Null: busy. */
  readonly buffers: readonly Range[] | null;
  readonly pids: Set<number>;
}

/**
 * Buffers that processes registered with io_uring (io_uring_show_fdinfo of io_uring/fdinfo.c, fs/io_uring.c before 6.0). The
 * kernel pins their pages until the ring is closed, and adds them to VmPin of the process that registered them
 * (io_account_mem): here they are a part of it. A busy ring reports no buffers.
 */
export class UringBuffers {
  readonly #rings = new Map<string, Ring>();
  /** Rings of each process: there may be many of both. */
  readonly #ofPid = new Map<number, Set<Ring>>();
  readonly #most: number;
  /** Whether there were more rings than these. */
  isCut = false;

  constructor(most = MAX_RINGS) {
    this.#most = most;
  }

  /** @param isRing whether the link says so; of a capture only the text does @returns whether it is the fdinfo of a ring */
  add(pid: number, text: string, isRing: boolean): boolean {
    const buffers = registered(text);
    if (!isRing && buffers === undefined) return false;
    const inode = /^ino:\t(\d{1,20})$/m.exec(text)?.[1];
    // A busy ring has no other identity than its process where all have one inode (before 5.16).
    const key = `${inode} ${buffers?.join(' ') ?? `busy ${pid}`}`;
    const ring = this.#rings.get(key) ?? { inode, buffers: buffers ?? null, pids: new Set<number>() };
    if (!this.#rings.has(key) && this.#rings.size >= this.#most) this.isCut = true;
    else {
      this.#rings.set(key, ring);
      ring.pids.add(pid);
      this.#ofPid.set(pid, (this.#ofPid.get(pid) ?? new Set()).add(ring));
    }
    return true;
  }

  /**
   * @param pinnedOf VmPin of a process in bytes; null: not read
   */
  rows(
    pinnedOf: (pid: number) => number | null,
    largest: (owners: readonly { bytes: number; pids: ReadonlySet<number> }[]) => NonNullable<NamedMemory['processes']>,
  ): NamedMemory[] {
    // A process that inherited or received the ring has none of its pages in VmPin.
    const ownerOf = ({ pids }: Ring) =>
      [...pids].toSorted((a, b) => (pinnedOf(b) ?? 0) - (pinnedOf(a) ?? 0) || a - b)[0] ?? 0;
    const rings = [...this.#rings.values()].filter(({ buffers }) => buffers?.length !== 0);
    const owners = [...grouped(rings, ownerOf)].map(([pid, own]) => {
      const bytes = unionOf(own.flatMap(({ buffers }) => buffers ?? []));
      const busy = own.filter(({ buffers }) => buffers === null).length;
      return { bytes, busy, most: busy === 0 ? bytes : Math.max(bytes, pinnedOf(pid) ?? bytes), pids: new Set([pid]) };
    });
    const sum = (of: (owner: (typeof owners)[number]) => number) => owners.reduce((all, owner) => all + of(owner), 0);
    const bytes = sum((owner) => owner.bytes);
    const mostBytes = sum(({ most }) => most) + (this.#haveInodes() ? 0 : alike(rings, ownerOf, pinnedOf));
    if (mostBytes === 0) return [];
    const busyRings = sum(({ busy }) => busy);
    const figures = { rings: rings.length - busyRings, busyRings, leastBytes: bytes, mostBytes };
    const source = '/proc/PID/fdinfo';
    return [{ kind: 'pinned', name: 'io_uring', category: null, bytes, source, figures, processes: largest(owners) }];
  }

  /** Upper bound of what a process has of these in VmPin, in bytes; infinite: unknown. */
  mostOf(pid: number): number {
    const own = [...(this.#ofPid.get(pid) ?? [])];
    if (this.isCut || own.some(({ buffers }) => buffers === null)) return Number.POSITIVE_INFINITY;
    return unionOf(own.flatMap(({ buffers }) => buffers ?? []));
  }

  has(pid: number): boolean {
    return this.#ofPid.has(pid);
  }

  /** Whether rings have inodes of their own (since 5.16), as two that differ prove. */
  #haveInodes(): boolean {
    const inodes = new Set([...this.#rings.values()].map(({ inode }) => inode));
    inodes.delete(undefined);
    return inodes.size > 1;
  }
}

/**
 * Upper bound of the buffers of rings that are not known to be one: two processes that have buffers at the same addresses
 * may have inherited one ring, or each registered its own, which VmPin of both then contains.
 */
function alike(
  rings: readonly Ring[],
  ownerOf: (ring: Ring) => number,
  pinnedOf: (pid: number) => number | null,
): number {
  let bytes = 0;
  for (const ring of rings) {
    const [own, owner] = [unionOf(ring.buffers ?? []), ownerOf(ring)];
    for (const pid of ring.pids) if (pid !== owner) bytes += Math.min(own, pinnedOf(pid) ?? own);
  }
  return bytes;
}

/**
 * Buffers below the last heading `UserBufs:`: names of files, which programs choose, are above it. Undefined: no heading, or
 * less buffers than it says, since the ring was busy.
 */
function registered(text: string): Range[] | undefined {
  const at = text.lastIndexOf(HEADING);
  if (at < 0) return undefined;
  const [count = '', ...lines] = text.slice(at + HEADING.length).split('\n', MAX_BUFFERS + 1);
  if (!/^\d{1,5}$/.test(count) || Number(count) > lines.length) return undefined;
  const ranges: Range[] = [];
  for (const line of lines.slice(0, Number(count))) {
    const match = /^ *\d{1,5}: (?:0x([\da-f]{1,16})\/(\d{1,10})|<none>)$/.exec(line);
    if (!match) return undefined;
    const [, address, length] = match;
    // Buffers of the kernel (ublk) have no address.
    const start = Number.parseInt(address ?? '0', 16);
    if (start > 0) ranges.push([start, start + Number(length)]);
  }
  return ranges;
}

/** Bytes of ranges that may overlap: two rings may share a buffer (IORING_REGISTER_CLONE_BUFFERS). */
function unionOf(ranges: readonly Range[]): number {
  let [bytes, until] = [0, 0];
  for (const [start, end] of ranges.toSorted((a, b) => a[0] - b[0])) {
    bytes += Math.max(0, end - Math.max(start, until));
    until = Math.max(until, end);
  }
  return bytes;
}
