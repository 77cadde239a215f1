import type { MemoryAnswer, Unavailable } from '../../account/memory/answer.js';
import { countedMemory } from '../../account/memory/counted.js';
import { flaggedMemory } from '../../account/memory/flagged.js';
import type { MemoryOptions } from '../../account/memory/memory.js';
import { HostError } from '../../base/errors/host.js';
import { KernelError } from '../../base/errors/kernel.js';
import { liveHost } from '../../host/live.js';
import { readHostDetails } from '../../host/proc/details.js';
import { readHostFrames } from '../../host/proc/frames/machine.js';
import { readHostCounts } from '../../host/proc/memory-counts.js';
import { hostOrigin } from '../../host/proc/origin.js';
import type { Kernel } from '../../kernel/kernel.js';
import { aids, openSource } from '../kit/kernel-source.js';
import { LIVE_SOURCES, type LiveOptions, type LiveSource } from '../kit/live-sources.js';

/** Told now and then which part of a look is done, 0 to 1. */
type Progress = (part: number) => void;

/**
 * Where this machine's memory is, from the source that tells most of those that can be opened. Which it
 * was, and why those before it could not be had, is part of the answer.
 *
 * @param more what takes a while, and only the kernel's memory tells
 * @throws {KernelError}, {@link HostError}: the source that was asked for cannot be opened, or none can
 */
export async function liveMemory(
  options: LiveOptions,
  progress: Progress,
  more?: MemoryOptions,
): Promise<MemoryAnswer> {
  // Files that help to understand kcore are for kcore.
  const { source: asked = Object.keys(aids(options)).length > 0 ? 'kcore' : undefined } = options;
  const unavailable: Unavailable[] = [];
  for (const source of LIVE_SOURCES) {
    if (asked !== undefined && asked !== source) continue;
    try {
      const origin = hostOrigin(liveHost, new Date());
      const answer = await LOOKS[source](options, progress, more);
      return { ...answer, origin, unavailable };
    } catch (error) {
      if (!(error instanceof NotOpened)) throw error;
      if (source === asked || source === 'counters') throw error.reason;
      const { code, message: why } = error.reason;
      unavailable.push({ source, code, why });
    }
  }
  throw new TypeError('counters either answer or fail');
}

/** A source cannot be opened: the next one may. Whatever else goes wrong is no reason to take another. */
class NotOpened extends Error {
  constructor(readonly reason: KernelError | HostError) {
    super(reason.message);
  }
}

type LiveReader = (
  options: LiveOptions,
  progress: Progress,
  more?: MemoryOptions,
) => Promise<MemoryAnswer>;

const LOOKS: Record<LiveSource, LiveReader> = {
  kcore: async (options, progress, more) => {
    let kernel: Kernel;
    try {
      kernel = await openSource(options);
    } catch (error) {
      if (error instanceof KernelError && error.code !== 'exhausted') throw new NotOpened(error);
      throw error;
    }
    try {
      const { accountMemory } = await import('../../account/memory/memory.js');
      return accountMemory(kernel, progress, more);
    } finally {
      kernel.close();
    }
  },
  pageflags: async (_, progress) => {
    try {
      return await settled(async () => flaggedMemory(readHostFrames(liveHost, progress)));
    } catch (error) {
      if (error instanceof HostError) throw new NotOpened(error);
      throw error;
    }
  },
  counters: async () => {
    for (let left = MOST_TRIES; ; left--) {
      try {
        return await settled(async () =>
          countedMemory(readHostCounts(liveHost), readHostDetails(liveHost)),
        );
      } catch (error) {
        // Files that are read one after the other contradict each other where memory moves fast.
        if (error instanceof KernelError && left > 1) continue;
        if (error instanceof HostError || error instanceof KernelError) throw new NotOpened(error);
        throw error;
      }
    }
  },
};

/** Memory that moves fast contradicts itself in one sample, and hardly in each of several. */
const MOST_SAMPLES = 3;

/** Samples again while free memory is contradictory. */
export async function settled(sample: () => Promise<MemoryAnswer>): Promise<MemoryAnswer> {
  for (let left = MOST_SAMPLES; ; left--) {
    const answer = await sample();
    if (!answer.freeConflict || left === 1) return answer;
  }
}

/** How often counters are read that add up to more than there is. */
const MOST_TRIES = 10;
