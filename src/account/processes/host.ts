import type { ProcessMemoryRecord, ProcessRecords } from '../../process-records.js';
import { Warnings } from '../../walk/warnings.js';
import type { ProcsAnswer } from './answer.js';
import { ownBytes, type ProcessFigures } from './process.js';

/** What /proc told of processes. */
export function hostProcesses(host: ProcessRecords): ProcsAnswer {
  const { kernelThreads, zombies, gone, hidden } = host;
  const warnings = new Warnings();
  const processes = host.processes.map(figuresOf);
  const notShown = processes.filter(({ complete }) => !complete).length;
  if (notShown > 0)
    warnings.add(
      'unreadable',
      `PSS and USS of ${notShown} ${notShown === 1 ? 'process' : 'processes'} may not be seen: run it as root`,
    );
  if (hidden)
    warnings.add('unreadable', '/proc hides processes of other users (hidepid): run it as root');
  return {
    kernel: undefined,
    ...{ processes, kernelThreads, zombies, gone, notShown },
    warnings: warnings.list(),
    complete: notShown === 0 && !hidden,
  };
}

function figuresOf(found: ProcessMemoryRecord): ProcessFigures {
  const { status, sums, ...identity } = found;
  const sizes = {
    rss: sums?.rss ?? status?.rss ?? null,
    pss: sums?.pss ?? null,
    uss: sums?.uss ?? null,
    anonymous: sums?.anonymous ?? status?.anonymous ?? null,
    file: status?.file ?? null,
    shmem: status?.shmem ?? null,
    swap: sums?.swap ?? status?.swap ?? null,
    swapPss: sums?.swapPss ?? null,
    hugetlb: sums?.hugetlb ?? status?.hugetlb ?? null,
    pageTables: status?.pageTables ?? null,
    locked: sums?.locked ?? status?.locked ?? null,
    network: null,
  };
  return {
    ...identity,
    ...sizes,
    freed: ownBytes(sizes),
    sharedWith: [],
    complete: sums !== null && status !== null,
  };
}
