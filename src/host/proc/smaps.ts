import type { SmapsSums } from '../../records/processes.js';
import { kilobytesOf } from './kilobytes.js';

/** Undefined where the text has none of what every kernel tells: of a process that has no memory. */
export function sumSmaps(text: string): SmapsSums | undefined {
  const lines = `\n${text}`;
  const of = (name: string) => kilobytesOf(lines, name);
  const [rss, pss, clean, dirty] = [
    ...[of('Rss'), of('Pss'), of('Private_Clean'), of('Private_Dirty')],
  ] as const;
  if (rss === null || pss === null || clean === null || dirty === null) return undefined;
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
