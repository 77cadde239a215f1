import { inflect } from '../../base/size.js';
import type { CountOf, OtherPages, OutsideCode, OutsideFigures, SlabCode, SlabFigures, Subject } from './row.js';

/** Network memory outside socket queues, in sentences; names in them are hostile. */
export function outsideQueuesWords<Code extends OutsideCode>(row: CountOf<Code>): string {
  switch (row.status) {
    case 'counted':
    case 'contradicted':
      return counted(row.figures, row);
    case 'at-most':
      return `${counted(row.figures, row)} This is an upper bound: incomplete rows may own some of it (${row.unknown.join(', ')}).`;
    case 'not-walked':
      return notWalked(row);
    case 'not-counted':
      return row.code === 'receive-rings' && row.of === undefined
        ? `Receive rings: the network devices cannot be listed: ${row.reason}.`
        : `${name(row)}: not counted: ${row.reason}.`;
  }
}

const SLAB_WORDS: Readonly<Record<SlabCode, string>> = {
  skbs: 'skbs',
  'skb-fclones': 'skbs with fast clones',
  'skb-heads': 'small skb heads',
};

/** Names of rows without figures. */
const NAMES: { readonly [Code in OutsideCode]: (row: Subject<Code>) => string } = {
  'cpu-queues': () => 'Per-CPU backlog and completion queues (softnet_data)',
  qdiscs: () => 'Queueing disciplines',
  'ip-fragments': () => 'IP reassembly queues',
  neighbours: () => 'Neighbour queues (arp_queue)',
  gro: () => 'NAPI instances (GRO)',
  'page-fragments': () => 'Page fragment caches',
  'page-pools': () => 'Page pools',
  'receive-rings': (row) => `Receive rings of ${devices(row)} (${row.of})`,
  rings: ({ of }) => (of === undefined ? 'Rings of software devices' : `Rings of ${of} devices`),
  'xdp-rings': () => 'AF_XDP rings',
  skbs: slabCache,
  'skb-fclones': slabCache,
  'skb-heads': slabCache,
  'other-pages': () => 'Unattributed pages',
};

const COUNTED: {
  readonly [Code in OutsideCode]: (figures: OutsideFigures[Code], row: Subject<Code>) => string;
} = {
  'cpu-queues': ({ packets }) => queued(packets, 'in per-CPU network queues (softnet_data)'),
  qdiscs: ({ packets, queued: unsized }) => {
    const unknown = unsized === 0 ? '' : ` The memory that ${unsized} of them pin is unknown.`;
    return `${queued(packets, 'in queueing disciplines')}${unknown}`;
  },
  'ip-fragments': ({ packets }) => queued(packets, 'for IP reassembly'),
  neighbours: ({ packets }) => queued(packets, 'until a neighbour’s address resolves (arp_queue)'),
  gro: ({ packets }) => queued(packets, 'for merging in NAPI instances (GRO)'),
  'page-fragments': ({ kept, shared, pages }) =>
    `Page fragment caches of CPUs, tasks and sockets hold ${many(kept, 'page')}: ${shared} shared with queued data and counted there, ${pages} not.`,
  'page-pools': ({ owned, pages }) =>
    `Page pools own ${many(owned, 'page')}; ${pages} of them are in no queue or row above.`,
  'receive-rings': ({ buffers, pages }, row) =>
    `${NAMES['receive-rings'](row)} hold ${many(buffers, 'buffer')} in ${many(pages, 'page')} that no queue or row above holds.`,
  rings: ({ packets, frames }, row) => {
    const words = queued(packets, `for readers of ${devices(row)} (${row.of})`);
    const unknown = ` ${many(frames, 'XDP frame')} queued too; the memory that they pin is unknown.`;
    return frames === 0 ? words : `${words}${unknown}`;
  },
  'xdp-rings': ({ rings, vmalloced }) =>
    `${many(rings, 'ring')} of AF_XDP sockets, ${vmalloced} of them in vmalloc areas.`,
  skbs: slabObjects,
  'skb-fclones': slabObjects,
  'skb-heads': slabObjects,
  'other-pages': otherPagesWords,
};

function name<Code extends OutsideCode>(row: Subject<Code>): string {
  return NAMES[row.code](row);
}

function counted<Code extends OutsideCode>(figures: OutsideFigures[Code], row: Subject<Code>): string {
  return COUNTED[row.code](figures, row);
}

function notWalked(row: Subject<OutsideCode>): string {
  switch (row.code) {
    case 'page-pools':
      return 'Page pools: not counted, because this kernel does not mark their pages.';
    case 'receive-rings':
      return `${name(row)}: not counted, because kdump-mem does not support this driver.`;
    case 'rings':
      return `Rings of ${devices(row)} (${row.of}): not counted, because kdump-mem does not support this device.`;
    default:
      return `${name(row)}: not counted.`;
  }
}

function slabObjects({ used, reserve, met, left, merged }: SlabFigures, { code }: Subject<SlabCode>): string {
  const words = SLAB_WORDS[code];
  if (left < 0 && !merged)
    return `${met} ${words} were found, but only ${used} are allocated: the dump changed while it was taken, or is damaged.`;
  const cached = reserve > 0 ? `, ${reserve} in per-CPU caches` : '';
  const text = `${used} ${words} are allocated: ${met} in queues${cached}`;
  return merged
    ? `At most ${text}, ${Math.max(0, left)} unattributed. The slab cache is merged and contains other objects too.`
    : `${text}, ${left} unattributed.`;
}

function slabCache({ code }: Subject<SlabCode>): string {
  return `Slab cache of ${SLAB_WORDS[code]}`;
}

/** @param where a place or a purpose: "in …", "for …", "until …" */
function queued(packets: number, where: string): string {
  return `${packets === 0 ? 'No packets' : many(packets, 'packet')} queued ${where}.`;
}

function devices({ devices }: Subject<OutsideCode>): string {
  return (devices ?? []).join(', ');
}

/** `1 page`, `2 pages` */
function many(count: number, noun: string): string {
  return `${count} ${noun}${inflect(count, '', 's')}`;
}

/** Meaning of the count of pages, in one sentence. */
export function unownedPages({ left }: OtherPages): string {
  return `${many(left, 'page')} that no socket, skb or ring was found to hold. That they are network memory is not ruled out. kdump-mem memory lists them by category.`;
}

/** The same, with the uses of all pages of the machine. */
function otherPagesWords(pages: OtherPages): string {
  const { present, atBoot, free, slabs, lru, pageTables, vmalloced, huge, compressed } = pages;
  const { others, explained } = pages;
  const parts = [
    `${atBoot} reserved at boot`,
    `${free} free`,
    `${slabs} slab`,
    `${lru} page cache and process memory`,
    `${pageTables} page tables`,
    ...(vmalloced === undefined ? [] : [`${vmalloced} vmalloc`]),
    ...(huge ? [`${huge} huge pages`] : []),
    ...(compressed > 0 ? [`${compressed} compressed swap`] : []),
  ];
  const unknown = [...(vmalloced === undefined ? ['vmalloc'] : []), ...(huge === undefined ? ['huge pages'] : [])];
  const among = unknown.length === 0 ? '' : ` (${unknown.join(' and ')} included: counters not found)`;
  return `${unownedPages(pages)} Of ${present} pages: ${parts.join(', ')}. Of the other ${others}${among}, ${explained} are in queues and rows above.`;
}
