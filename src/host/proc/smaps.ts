import type { SmapsSums } from '../../process-records.js';

/** Undefined where the text has none of what every kernel tells: of a process that has no memory. */
export function sumSmaps(text: string): SmapsSums | undefined {
  const sums = new Map<string, number>();
  for (const [, name = '', kilobytes] of text.matchAll(/^([A-Z]\w{1,24}):\s{1,24}(\d{1,15}) kB$/gm))
    sums.set(name, (sums.get(name) ?? 0) + Number(kilobytes) * 1024);
  const [rss, pss] = [sums.get('Rss'), sums.get('Pss')];
  const [clean, dirty] = [sums.get('Private_Clean'), sums.get('Private_Dirty')];
  if (rss === undefined || pss === undefined || clean === undefined || dirty === undefined)
    return undefined;
  const of = (name: string) => sums.get(name) ?? null;
  const [own, shared] = [of('Private_Hugetlb'), of('Shared_Hugetlb')];
  return {
    rss,
    pss,
    uss: clean + dirty,
    anonymous: of('Anonymous'),
    pssAnonymous: of('Pss_Anon'),
    pssShmem: of('Pss_Shmem'),
    swap: of('Swap'),
    swapPss: of('SwapPss'),
    hugetlb: own === null || shared === null ? null : own + shared,
    locked: of('Locked'),
  };
}
