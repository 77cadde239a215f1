import { join } from 'node:path';
import { accountAll, type CensusAnswer } from '../../../src/account/sockets.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { drgnJson } from '../../support/drgn.js';
import { LAB, type LabKernel } from '../../support/lab.js';

/** Allocations: the first page frame, and the number of frames. */
export type Allocations = readonly (readonly [frame: number, frames: number])[];

/** drgn's results without walking a socket; see pages.py. */
interface Drgn {
  /** Memory of skbs that are allocated in the slabs. */
  readonly skbs: Allocations;
  /** Allocated, and not accounted to any owner outside the network. */
  readonly rest: Allocations;
}

export interface PageMemory {
  /** Frames by first frame that a census counts in the queues of sockets and in its other rows. */
  readonly frames: ReadonlyMap<number, number>;
  readonly answer: CensusAnswer;
  /** Bytes. */
  readonly pageSize: number;
  readonly drgn: Allocations;
}

/** A lab dump by a census, and by drgn's view of its pages. */
export function pageMemory(dump: string, kernel: LabKernel, part: keyof Drgn): PageMemory {
  const core = join(LAB, 'dumps', dump, 'elf.vmcore');
  const drgn = drgnJson<Drgn>(core, kernel, new URL('pages.py', import.meta.url), part)[part];
  const frames = new Map<number, number>();
  const opened = openNative({ files: [core] });
  try {
    const answer = accountAll(opened, {
      onHeld(_, tally) {
        for (const { frame, order } of tally.pages()) frames.set(frame, 2 ** (order ?? 0));
      },
    });
    return { frames, answer, pageSize: opened.facts.pageSize, drgn };
  } finally {
    opened.close();
  }
}

/** The number of frames. */
export function total(allocations: Allocations): number {
  return allocations.reduce((sum, [, count]) => sum + count, 0);
}
