import type { OtherPages } from '../../account/ledger/row.js';

/** Where every page of the machine is, in a sentence. */
export function otherPagesWords(pages: OtherPages): string {
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
