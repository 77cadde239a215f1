import type {
  LedgerCode,
  LedgerFigures,
  LedgerRow,
  OtherPages,
  RowOf,
  SlabCode,
  SlabFigures,
  Subject,
} from '../../account/ledger/row.js';

/** A row of what is in no socket's queue, in sentences; names in it are hostile. */
export function ledgerWords(row: LedgerRow): string {
  switch (row.told) {
    case 'counted':
    case 'contradicted':
      return counted(row);
    case 'at-most':
      return `${counted(row)} That is at most: some may belong to what is not known whole (${row.unknown.join(', ')}).`;
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
  'skb-pairs': 'pairs of skbs',
  'skb-heads': 'small heads of skbs',
};

/** To begin a sentence about a row that is not counted. */
const NAMES: { readonly [Code in LedgerCode]: (row: Subject<Code>) => string } = {
  'cpu-queues': () => 'The queues of the CPUs (softnet_data)',
  qdiscs: () => 'The queueing disciplines',
  'ip-fragments': () => 'The queues of fragments',
  neighbours: () => 'The queues of neighbours',
  gro: () => 'The devices’ NAPI instances',
  'page-fragments': () => 'The page-fragment caches',
  'page-pools': () => 'The page pools',
  'receive-rings': (row) => `The receive rings of ${devices(row)} (${row.of})`,
  rings: ({ of }) =>
    of === undefined ? 'The rings of software devices' : `The rings of ${of} devices`,
  'xdp-rings': () => 'The rings of AF_XDP sockets',
  skbs: slabCache,
  'skb-pairs': slabCache,
  'skb-heads': slabCache,
  'other-pages': () => 'Pages in no row',
};

const COUNTED: {
  readonly [Code in LedgerCode]: (figures: LedgerFigures[Code], row: Subject<Code>) => string;
} = {
  'cpu-queues': ({ packets }) => waiting(packets, 'in the queues of the CPUs (softnet_data)'),
  qdiscs: ({ packets, queued }) => {
    if (packets === 0) return 'No packet waits in a queueing discipline.';
    const untold = queued === 0 ? '' : `; what ${queued} of them pin is not told`;
    return `${many(packets, 'packet')} in queueing disciplines${untold}.`;
  },
  'ip-fragments': ({ packets }) => waiting(packets, 'to be put together (IP reassembly)'),
  neighbours: ({ packets }) => waiting(packets, 'for a neighbour’s address (arp_queue)'),
  gro: ({ packets }) =>
    waiting(packets, 'in devices’ NAPI instances, to be merged with others (GRO)'),
  'page-fragments': ({ kept, shared, pages }) =>
    `Page-fragment caches of CPUs, tasks and sockets keep ${many(kept, 'page')}: ${shared} with queued data, which count with their sockets, ${pages} without.`,
  'page-pools': ({ owned, pages }) =>
    `Page pools own ${many(owned, 'page')}, ${pages} of them in nothing above.`,
  'receive-rings': ({ buffers, pages }, row) =>
    `${NAMES['receive-rings'](row)} hold ${many(buffers, 'buffer')}, in ${many(pages, 'page')} that nothing above holds.`,
  rings: ({ packets, frames }, row) => {
    const words = waiting(packets, `for who has ${devices(row)} open (${row.of})`);
    const untold = ` ${many(frames, 'frame')} of XDP too: what they pin is not told.`;
    return frames === 0 ? words : `${words}${untold}`;
  },
  'xdp-rings': ({ rings, vmalloced }) =>
    `${many(rings, 'ring')} of AF_XDP sockets, ${vmalloced} of them vmalloc’ed.`,
  skbs: slabObjects,
  'skb-pairs': slabObjects,
  'skb-heads': slabObjects,
  'other-pages': otherPagesWords,
};

function name<Code extends LedgerCode>(row: Subject<Code>): string {
  return NAMES[row.code](row);
}

function counted<Code extends LedgerCode>(
  row: Extract<RowOf<Code>, { told: 'counted' | 'at-most' | 'contradicted' }>,
): string {
  return COUNTED[row.code](row.figures, row);
}

function notWalked(row: Subject<LedgerCode>): string {
  switch (row.code) {
    case 'page-pools':
      return 'Page pools: the pages of this kernel do not tell that they are of one.';
    case 'receive-rings':
      return `${name(row)} are not walked: what their buffers pin is not told.`;
    case 'rings':
      return `The rings of ${devices(row)} (${row.of}) are not walked: what waits in them is not told.`;
    default:
      return `${name(row)} are not walked.`;
  }
}

function slabObjects(
  { used, reserve, met, left, merged }: SlabFigures,
  { code }: Subject<SlabCode>,
): string {
  const words = SLAB_WORDS[code];
  if (left < 0 && !merged)
    return `Of the ${words} ${met} were met and ${used} are in use: the dump changed while it was taken, or is damaged.`;
  const kept = reserve > 0 ? `, ${reserve} kept ready by CPUs` : '';
  const told = `${used} ${words} are in use: ${met} in queues${kept}`;
  return merged
    ? `At most ${told}, and ${Math.max(0, left)} others, which may be anything: the allocator keeps objects of other kinds in this cache too.`
    : `${told}, ${left} not explained.`;
}

function slabCache({ code }: Subject<SlabCode>): string {
  return `The slab cache of ${SLAB_WORDS[code]}`;
}

/** @param where that they are, or what they wait for: "in …", "for …", "to be …" */
function waiting(packets: number, where: string): string {
  const who = packets === 0 ? 'No packet waits' : `${many(packets, 'packet')} waiting`;
  return `${who} ${where}.`;
}

function devices({ devices }: Subject<LedgerCode>): string {
  return (devices ?? []).join(', ');
}

/** `1 page`, `2 pages` */
function many(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Where every page of the machine is, in a sentence. */
function otherPagesWords(pages: OtherPages): string {
  const { present, atBoot, free, slabs, lru, pageTables, vmalloced, huge, compressed } = pages;
  const { others, explained, left } = pages;
  const parts = [
    `${atBoot} were set aside at boot`,
    `${free} are free`,
    `${slabs} slabs`,
    `${lru} of files and processes`,
    `${pageTables} page tables`,
    ...(vmalloced === undefined ? [] : [`${vmalloced} vmalloc’ed`]),
    ...(huge ? [`${huge} huge`] : []),
    ...(compressed > 0 ? [`${compressed} compressed`] : []),
  ];
  const unknown = [
    ...(vmalloced === undefined ? ['vmalloc’ed'] : []),
    ...(huge === undefined ? ['huge'] : []),
  ];
  const among =
    unknown.length === 0
      ? ''
      : ` (with those that are ${unknown.join(' or ')}, whose counts were not found)`;
  return `Of the machine’s ${present} pages ${parts.join(', ')}; of the ${others} others${among} ${explained} are in queues and rows above, and ${left} in none: these may be anybody’s.`;
}
