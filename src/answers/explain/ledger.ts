import type { LedgerCode } from '../../account/ledger/row.js';
import type { Explanation, Explanations } from './explanation.js';

const SOCKETS = 'kdump-mem sockets -v';

/** @param means what is counted @param known where it is found */
const row = (means: string, known: string, next: string): Explanation => ({
  means,
  known,
  next,
  deeper: SOCKETS,
});

const slab = (what: string, cache: string): Explanation =>
  row(
    `Slots of slab memory that ${what} lie in, beside those that were met in queues. What is left is explained by nothing: packets amid their way, a leak, or objects of others where the allocator keeps them in one cache.`,
    `Objects in use of ${cache} (mm/slub.c), less those that CPUs keep ready.`,
    'Much that is left and keeps growing is a leak: look at what drivers and modules hold.',
  );

/** Rows beside the sockets' queues: what of the network's memory is in none of them (docs/internals/architecture.md). */
export const LEDGER: Explanations<LedgerCode> = {
  'cpu-queues': row(
    'Packets that wait for a CPU to take them, and those that wait to be freed.',
    'The lists of softnet_data of each CPU (net/core/dev.c).',
    'Many of them: a CPU does not run its softirqs. Look at its stack.',
  ),
  qdiscs: row(
    'Packets that wait in queueing disciplines for their device.',
    'Queues of the Qdiscs of all devices (net/sched).',
    'Many of them: the device, or its rate, is too slow. See tc -s qdisc.',
  ),
  'ip-fragments': row(
    'Fragments of IP packets that wait for the rest.',
    'The tables of inet_frags of each network namespace (net/ipv4/inet_fragment.c).',
    'Many of them: fragments are lost on the way, or somebody sends such on purpose.',
  ),
  neighbours: row(
    'Packets that wait until the address of a neighbour is known (ARP, NDP).',
    'arp_queue of each neighbour (net/core/neighbour.c).',
    'Many of them: hosts that do not answer are being sent to.',
  ),
  gro: row(
    'Packets that devices hold to merge them with others.',
    'NAPI instances of each device (net/core/gro.c).',
    'Nothing: they leave within one round.',
  ),
  'page-fragments': row(
    'Pages that CPUs, tasks and sockets keep to cut pieces of data from.',
    'page_frag_cache of CPUs, task_frag of tasks, sk_frag of sockets.',
    'Nothing: they are few, one for each that has one.',
  ),
  'page-pools': row(
    'Pages that pools of drivers own: in rings, in flight, and kept to be used again.',
    'The mark of a page pool in struct page (pp_magic; net/core/page_pool.c).',
    'Pages in flight that no queue holds for long are a leak: the driver logs "stalled pool shutdown".',
  ),
  'receive-rings': row(
    'Buffers that a driver has given to its device to receive into.',
    'The rings of the drivers that this program knows; others say that they are not walked.',
    'Lower the ring (ethtool -G) or the number of queues where that is too much.',
  ),
  rings: row(
    'Packets that wait for who has a software device open (tun, tap).',
    'ptr_ring of the device’s queues (drivers/net/tun.c, drivers/net/tap.c).',
    'See who has /dev/net/tun open and does not read.',
  ),
  'xdp-rings': row(
    'Rings of AF_XDP sockets.',
    'xsk_queue of each socket (net/xdp).',
    'Nothing: they are as large as the program asked for.',
  ),
  skbs: slab('skbs', 'skbuff_head_cache'),
  'skb-fclones': slab('pairs of skbs (TCP’s clones)', 'skbuff_fclone_cache'),
  'skb-heads': slab('small heads of skbs', 'skbuff_small_head'),
  'other-pages': row(
    'All pages that are given out and in no queue and no row before: it bounds what the network could hold unseen.',
    'Counters of the page allocator, less all that is known.',
    'See where the memory is, page by page.',
  ),
};
