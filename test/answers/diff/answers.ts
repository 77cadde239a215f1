import { type MemoryJson, memorySchema } from '../../../src/contracts/memory.js';
import { type ProcsAnswer, procsSchema } from '../../../src/contracts/procs.js';
import { type SocketsJson, socketsSchema } from '../../../src/contracts/sockets.js';

const KERNEL = { release: '6.1.0', arch: 'x86_64', pageSize: 4096, source: 'vmcore', engine: 'native' } as const;
const PAGE = 4096;

export function takenAt(minute: number) {
  return {
    at: new Date(Date.UTC(2026, 10, 20, 10, minute)).toISOString(),
    host: 'node7',
    bootId: '5a0b3c0e-9a4e-4d4c-8a84-000000000001',
    uptimeSeconds: 5000 + minute * 60,
  };
}

type Category = MemoryJson['memory'];

function category(name: string, frames: number, children: readonly Category[] = []): Category {
  return {
    category: name,
    frames,
    bytes: frames * PAGE,
    known: 'walked',
    counterBytes: null,
    differenceBytes: null,
    owners: [],
    children: [...children],
    next: null,
    complete: true,
    why: null,
    range: null,
    elsewhere: [],
  };
}

function group(name: string, children: readonly Category[]): Category {
  return category(
    name,
    children.reduce((sum, { frames }) => sum + frames, 0),
    children,
  );
}

/**
 * Frames of some categories on a machine with a million frames; caches and callers make up their
 * own.
 */
export function memoryAnswerAt(
  minute: number,
  { anonymous = 200_000, sockets = 1000, dentries = 3000, unattributed = 100, shared = 0 } = {},
): MemoryJson {
  const rest = 1_000_000 - anonymous - sockets - dentries - unattributed - shared - 700;
  const memory = group('memory', [
    group('free', [category('free-buddy', rest)]),
    group('applications-and-files', [category('anonymous', anonymous), category('shared', shared)]),
    group('kernel', [
      category('network-sockets', sockets),
      category('slab-reclaimable', dentries),
      category('vmalloc', 700),
      category('unattributed', unattributed),
    ]),
  ]);
  const slots = { slabs: 1, slots: 1, used: 1, objectSize: null, slotSize: null };
  return memorySchema.parse({
    schema: 'kdump-mem.memory/1',
    kernel: KERNEL,
    host: null,
    origin: takenAt(minute),
    captured: null,
    source: 'vmcore',
    unavailable: [],
    memory,
    unattributed: null,
    unflagged: null,
    notes: [],
    driftBytes: 0,
    freeConflict: null,
    pipes: null,
    named: null,
    notRead: [],
    socketEstimate: null,
    cachedFiles: null,
    zones: [],
    files: null,
    figures: null,
    caches: [
      { name: 'dentry', reclaimable: true, bytes: (dentries - 1000) * PAGE, ...slots },
      { name: 'inode_cache', reclaimable: true, bytes: 1000 * PAGE, ...slots },
    ],
    callers: [
      { caller: 'pcpu_create_chunk', bytes: 500 * PAGE, category: 'vmalloc' },
      { caller: 'n_tty_open', bytes: 200 * PAGE, category: 'vmalloc' },
    ],
    sample: null,
    noDetails: {},
    noDetailCodes: {},
    cgroups: null,
    sites: null,
    hugePages: null,
    complete: true,
    warnings: [],
  } satisfies MemoryJson);
}

export interface MadeProcess {
  readonly pid: number;
  readonly start: number;
  readonly pss: number | null;
  /** Part of it in shared memory; the remainder is anonymous. */
  readonly shmem?: number;
  readonly comm?: string;
}

export function procsAnswerAt(minute: number, made: readonly MadeProcess[]): ProcsAnswer {
  const sizes = (pss: number | null) => ({
    rssBytes: pss === null ? 4096 : pss * 2,
    pssBytes: pss,
    ussBytes: 0,
    anonBytes: 0,
    fileBytes: 0,
    shmemBytes: 0,
    swapBytes: 0,
    swapPssBytes: 0,
    hugetlbBytes: 0,
    pageTableBytes: 0,
    lockedBytes: 0,
    pinnedBytes: 0,
    networkPinnedBytes: null,
    freedIfKilledBytes: 0,
  });
  const processes = made.map(({ pid, start, pss, shmem = 0, comm = 'worker' }) => ({
    pid,
    comm,
    uid: 0,
    nsPids: [pid],
    cgroup: null,
    pod: null,
    container: null,
    ...sizes(pss),
    pssByKind: pss === null ? null : { anonBytes: pss - shmem, shmemBytes: shmem, fileBytes: 0 },
    pssUnknown: pss === null ? ('unreadable' as const) : null,
    networkEstimate: null,
    threads: 1,
    oomScore: 0,
    oomScoreAdj: 0,
    ageSeconds: Math.floor(5000 + minute * 60 - start / 100),
    startTicks: start,
    sharedWith: [],
    complete: true,
  }));
  const sum = (of: 'rssBytes' | 'pssBytes') =>
    processes.reduce<number | null>((all, one) => (one[of] === null ? all : (all ?? 0) + one[of]), null);
  return procsSchema.parse({
    schema: 'kdump-mem.procs/1',
    kernel: KERNEL,
    source: 'vmcore',
    origin: takenAt(minute),
    captured: null,
    allListed: true,
    processes,
    total: {
      processes: processes.length,
      ...sizes(0),
      rssBytes: sum('rssBytes'),
      pssBytes: sum('pssBytes'),
      withoutPss: { processes: 0, rssBytes: 0 },
      networkEstimated: false,
      complete: true,
    },
    kernelThreads: 0,
    zombies: 0,
    zombieParents: null,
    exited: 0,
    omitted: 0,
    pages: null,
    complete: true,
    warnings: [],
  } satisfies ProcsAnswer);
}

const figures = (bytes: number) => ({
  skbs: 1,
  payloadBytes: 1,
  truesizeBytes: 1,
  frags: 1,
  maxFragsPerSkb: 1,
  pages: 1,
  orders: {},
  pageBytes: bytes - 512,
  slabBytes: 512,
  pinnedBytes: bytes,
  complete: true,
});

/** One socket per inode, with the bytes that it pins. */
export function socketsAnswerAt(minute: number, pinned: Readonly<Record<number, number>>): SocketsJson {
  const entries = Object.entries(pinned).map(([inode, bytes]) => ({
    socket: {
      file: '0x1',
      sock: `0x${inode}`,
      inode: Number(inode),
      family: 'IPv4',
      type: 'stream',
      protocol: 'TCP',
      state: 'ESTABLISHED',
      local: '10.0.0.1:80',
      peer: '10.0.0.2:5',
      localAddress: '10.0.0.1',
      localPort: 80,
      peerAddress: '10.0.0.2',
      peerPort: 5,
      netns: 4_026_531_840,
    },
    holders: [{ pid: 4711, comm: 'nginx', cgroup: null, fd: 11 }],
    mappedBy: [],
    foundBy: ['fd' as const],
    acceptedFrom: null,
    subflowOf: null,
    carriedBy: [],
    registeredWith: [],
    queues: {},
    total: figures(bytes),
    unreadBytes: 10,
    exclusiveBytes: bytes,
    sharedBytes: 0,
  }));
  const all = entries.reduce((sum, { total }) => sum + total.pinnedBytes, 0);
  const answer: SocketsJson = {
    schema: 'kdump-mem.sockets/1',
    kernel: KERNEL,
    origin: takenAt(minute),
    sockets: entries,
    omitted: 0,
    allListed: true,
    outsideQueues: [],
    warnings: [],
    totals: { sockets: entries.length, ...figures(all) },
  };
  socketsSchema.parse(answer);
  return answer;
}
