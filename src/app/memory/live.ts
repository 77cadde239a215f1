import type { MemoryAnswer, Unavailable } from '../../account/memory/answer.js';
import { countedMemory } from '../../account/memory/counted.js';
import { flaggedMemory } from '../../account/memory/flagged.js';
import type { MemoryOptions } from '../../account/memory/memory.js';
import { HostError, hostOrNull, KernelError } from '../../base/errors.js';
import type { HostSource } from '../../host/host-source.js';
import { liveHost } from '../../host/live.js';
import { readHostDetails } from '../../host/proc/details.js';
import { readHostFrames } from '../../host/proc/frames/machine.js';
import { hostOrigin } from '../../host/proc/machine-sample.js';
import { readHostCounts } from '../../host/proc/memory.js';
import { SharedMappings } from '../../host/proc/shared-mappings.js';
import type { Kernel } from '../../kernel/kernel.js';
import { HostReader } from '../../triage/host-reader.js';
import { LIVE_SOURCES, type LiveOptions, type LiveSource } from '../kit/from-argument.js';
import { aids, openSource } from '../kit/kernel-source.js';
import { withUsers } from './captured.js';
import { withLiveNamed } from './named.js';

/** Called with the completed part of a scan, 0 to 1. */
type Progress = (part: number) => void;

/**
 * Returns the memory breakdown of this machine from the most detailed source that can be opened. The answer
 * names the source, and why more detailed ones are not available.
 *
 * @param options `host`: this machine, with what was read already; `mappings`: those of processes, likewise
 * @param more additional slow parts, available only from kernel memory
 * @throws {KernelError}, {@link HostError}: the required source cannot be opened, or none can
 */
export async function liveMemory(
  options: LiveOptions & { readonly host?: HostSource; readonly mappings?: SharedMappings },
  progress: Progress,
  more?: MemoryOptions,
): Promise<MemoryAnswer> {
  // Files for reading kcore imply that source.
  const { source: requested = Object.keys(aids(options)).length > 0 ? 'kcore' : undefined } = options;
  const { host = liveHost } = options;
  const unavailable: Unavailable[] = [];
  for (const source of LIVE_SOURCES) {
    if (requested !== undefined && requested !== source) continue;
    try {
      const origin = hostOrigin(liveHost, new Date().toISOString());
      const answer = await LIVE_READERS[source](options, progress, more);
      const named =
        source === 'kcore'
          ? await withLiveNamed(answer, liveHost, hostOrNull(() => readHostCounts(liveHost)) ?? undefined)
          : await withLiveNamed(
              withUsers(
                answer,
                new HostReader(host, answer.host?.pageSize ?? 4096),
                options.mappings ?? (await SharedMappings.read(host)),
              ),
              host,
            );
      return { ...named, origin, unavailable };
    } catch (error) {
      if (!(error instanceof NotOpened)) throw error;
      if (source === requested || source === 'counters') throw error.reason;
      const { code, message: why } = error.reason;
      unavailable.push({ source, code, why });
    }
  }
  throw new TypeError('counters either answer or fail');
}

/** A source cannot be opened, so the next one is tried. Any other error is passed on. */
class NotOpened extends Error {
  constructor(readonly reason: KernelError | HostError) {
    super(reason.message);
  }
}

type LiveReader = (options: LiveOptions, progress: Progress, more?: MemoryOptions) => Promise<MemoryAnswer>;

const LIVE_READERS: Record<LiveSource, LiveReader> = {
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
    try {
      return await settled(async () => countedMemory(readHostCounts(liveHost), readHostDetails(liveHost)));
    } catch (error) {
      if (error instanceof HostError) throw new NotOpened(error);
      throw error;
    }
  },
};

/**
 * Maximum number of samples. Quickly changing memory can make one sample inconsistent, but hardly several in
 * a row.
 */
const MAX_SAMPLES = 3;

/** Samples until counters are consistent, at most MAX_SAMPLES times. */
export async function settled(sample: () => Promise<MemoryAnswer>): Promise<MemoryAnswer> {
  for (let left = MAX_SAMPLES; ; left--) {
    const answer = await sample();
    // A scan of page flags takes long.
    const isQuick = answer.source === 'counters';
    const isConsistent = !answer.freeConflict && !(isQuick && answer.warnings.some(({ code }) => code === 'corrupt'));
    if (isConsistent || left === 1) return answer;
  }
}
