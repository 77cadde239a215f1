import { join } from 'node:path';
import { accountAll, type CensusAnswer } from '../../../src/account/sockets.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { drgnJson } from '../../support/drgn.js';
import { LAB, type LabKernel } from '../../support/lab.js';

/** Allocations: the first page frame, and how many frames. */
export type Allocations = readonly (readonly [frame: number, frames: number])[];

/** What drgn finds without walking a socket; see pages.py. */
interface Drgn {
  /** What skbs hold that the slabs have given out. */
  readonly skbs: Allocations;
  /** Allocated, and nobody accounts for it who is not the network. */
  readonly rest: Allocations;
}

export interface PageMemory {
  /** By its first frame, what a census counts in sockets' queues and in its rows besides. */
  readonly frames: ReadonlyMap<number, number>;
  readonly answer: CensusAnswer;
  /** Bytes. */
  readonly pageSize: number;
  readonly drgn: Allocations;
}

/** A dump of the lab by a census, and by what drgn says of its pages. */
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

/** How many frames they are. */
export function total(allocations: Allocations): number {
  return allocations.reduce((sum, [, count]) => sum + count, 0);
}
