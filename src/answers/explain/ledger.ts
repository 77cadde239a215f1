import type { LedgerCode } from '../../account/ledger/row.js';
import type { Explanation, Explanations } from './explanation.js';

const SOCKETS = 'kdump-mem sockets -v';

/** @param means what is counted @param known its source */
const row = (means: string, known: string, next: string): Explanation => ({
  means,
  known,
  next,
  deeper: SOCKETS,
});

const slab = (what: string, cache: string): Explanation =>
  row(
    `Slab objects of ${what} that are in no queue and no other row: packets being processed, a leak, or other objects in a merged cache.`,
    `Allocated objects of ${cache} (mm/slub.c), without those in per-CPU caches.`,
    'If the number is large and keeps growing, suspect a leak in a network driver or module.',
  );

/** Rows of network memory outside socket queues (docs/internals/architecture.md). */
export const LEDGER: Explanations<LedgerCode> = {
  'cpu-queues': row(
    'Packets in the per-CPU backlog, and packets that a CPU has yet to free.',
    'The lists of softnet_data of each CPU (net/core/dev.c).',
    'Many packets mean that a CPU does not run its softirqs: see its stack.',
  ),
  qdiscs: row(
    'Packets in queueing disciplines, ready for transmission.',
    'Queues of the Qdiscs of all devices (net/sched).',
    'Many packets mean that the device or its rate limit is too slow: see tc -s qdisc.',
  ),
  'ip-fragments': row(
    'IP fragments whose other fragments are missing.',
    'The tables of inet_frags of each network namespace (net/ipv4/inet_fragment.c).',
    'Many fragments mean packet loss on the path, or an attack.',
  ),
  neighbours: row(
    'Packets queued until a neighbour’s address is resolved (ARP, NDP).',
    'arp_queue of each neighbour (net/core/neighbour.c).',
    'Many packets mean traffic to hosts that do not answer.',
  ),
  gro: row(
    'Packets that devices hold to merge them with others (GRO).',
    'NAPI instances of each device (net/core/gro.c).',
    'Nothing: NAPI flushes them within one poll.',
  ),
  'page-fragments': row(
    'Pages that CPUs, tasks and sockets hold to allocate packet fragments from.',
    'page_frag_cache of CPUs, task_frag of tasks, sk_frag of sockets.',
    'Nothing: there is at most one such page per CPU, task and socket.',
  ),
  'page-pools': row(
    'Pages that drivers’ page pools own: in rings, in flight, and cached for reuse.',
    'The page pool signature in struct page (pp_magic; net/core/page_pool.c).',
    'Pages that stay in flight outside all queues are a leak: the kernel logs "stalled pool shutdown".',
  ),
  'receive-rings': row(
    'Receive buffers that a driver has posted to its device.',
    'The rings of supported drivers; the rings of others are reported as not counted.',
    'If this is too much, shrink the ring (ethtool -G) or reduce the number of queues.',
  ),
  rings: row(
    'Packets queued for the reader of a software device (tun, tap).',
    'ptr_ring of the device’s queues (drivers/net/tun.c, drivers/net/tap.c).',
    'Find the process that has /dev/net/tun open and does not read.',
  ),
  'xdp-rings': row(
    'Rings of AF_XDP sockets.',
    'xsk_queue of each socket (net/xdp).',
    'Nothing: the program chose their size.',
  ),
  skbs: slab('skbs', 'skbuff_head_cache'),
  'skb-fclones': slab('skbs with fast clones (used by TCP)', 'skbuff_fclone_cache'),
  'skb-heads': slab('small skb heads', 'skbuff_small_head'),
  'other-pages': row(
    'Allocated pages with no known owner: an upper bound for network memory that is not listed.',
    'Counters of the page allocator, minus all pages with a known use.',
    'See the memory breakdown by page: kdump-mem memory.',
  ),
};
