import type { CensusEntry } from '../../../src/account/owners.js';
import { leaksAnswer } from '../../../src/leaks/answer.js';
import type { Recording, Survivor } from '../../../src/leaks/recording.js';
import { placed } from '../../../src/leaks/survivors/lookup.js';
import { made, siteOf, survivor } from '../../leaks/made-recording.js';

/** The socket that the article found: queried alone. */
export const SOCKET = {
  socket: {
    sock: 0xffff_8880_0123_4000n,
    inode: 4242,
    protocol: 'TCP',
    family: 'AF_INET',
    local: '10.0.2.15:9000',
    peer: '10.0.2.2:41180',
  },
  holders: [{ pid: 4711, comm: 'ngi\x1bnx', fd: 11, cgroup: null }],
} as unknown as CensusEntry;

export const SITES = [
  siteOf(
    'rx',
    '__alloc_pages',
    'receive_mergeable [virtio_net]',
    'virtnet_poll [virtio_net]',
    '__do_softirq',
    'do_idle',
  ),
  siteOf('cache', 'folio_alloc', 'filemap_alloc_folio', 'ext4;read'),
  siteOf('fork', '__get_free_pages', 'pgd_alloc', 'mm_init'),
];

/**
 * A driver whose buffers are queued in a socket, growing page cache, and transient allocations of
 * fork.
 */
export function recordedStarver(more: Partial<Recording> = {}): Recording {
  const grows = (each: number) => Array.from({ length: 10 }, (_, at) => (at + 1) * each);
  const survivors: Survivor[] = [];
  for (let at = 0; at < 100; at++) {
    const since = 6_000 * at;
    survivors.push(survivor('rx', { place: BigInt(8 * at), bytes: 32_768, order: 3, since }));
    survivors.push(survivor('cache', { place: BigInt(100_000 + at), since }));
  }
  survivors.push(survivor('fork', { place: 7n, since: 599_000, tid: 7, command: 'make' }));
  return made(
    SITES,
    { rx: grows(10 * 32_768), cache: grows(40_960), fork: Array.from({ length: 10 }, () => 40_960) },
    { survivors, unseen: { allocated: 5000, traced: 5000, low: 5000, high: 5000 }, ...more },
    { rx: 32_768 },
  );
}

/** As reported by /proc/kcore: 98 of the driver's blocks are queued in a socket. */
export function starver(more: Partial<Recording> = {}) {
  return leaksAnswer(recordedStarver(more), {
    source: 'kcore',
    unavailable: [],
    warnings: [],
    of: ({ site, place }) => {
      if (site === 'cache') return placed('page-cache', 'page-cache');
      if (site === 'fork') return placed('page-table', 'page-tables');
      return place < 16n
        ? placed('unreferenced', 'unattributed')
        : { ...placed('socket', 'network-sockets'), socket: SOCKET };
    },
  });
}
