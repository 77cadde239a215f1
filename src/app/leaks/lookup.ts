import { HostError, KernelError, ReadError } from '../../base/errors.js';
import { liveHost } from '../../host/live.js';
import type { Kernel } from '../../kernel/kernel.js';
import { liveReadings } from '../../leaks/readings/reading-source.js';
import { type ReadingMethod, VMALLOCINFO } from '../../leaks/readings/take.js';
import { hidesAddresses, type KernelArea } from '../../leaks/readings/vmallocinfo.js';
import type { Recording } from '../../leaks/recording.js';
import { cacheLimits, type Lookup, lookupByFlags, MAX_WORDS, noLookup } from '../../leaks/survivors/lookup.js';
import { openNativeSource } from '../kit/kernel-source.js';
import type { Progress } from '../kit/terminal.js';

/**
 * Looks up the recorded surviving allocations in the most detailed source that can be opened, passes the
 * lookup to `ask`, and closes the source afterwards.
 *
 * @throws as accountMemory: /proc/kcore was opened, but the RAM ranges cannot be found
 */
export async function withLookup<T>(
  { type, survivors }: Recording,
  progress: Progress,
  ask: (lookup: Lookup) => T,
): Promise<T> {
  const unavailable: Lookup['unavailable'][number][] = [];
  if (survivors.length === 0) return ask(noLookup('no-source'));
  let kernel: Kernel | undefined;
  try {
    kernel = await openNativeSource({ live: true, engine: 'native' });
    const { lookupByKernel } = await import('../../leaks/survivors/by-kernel.js');
    const progressOf = progress.of('locating the blocks that were not freed');
    return ask(lookupByKernel(kernel, type, survivors, progressOf, cacheLimits(liveHost)));
  } catch (error) {
    if (!(error instanceof KernelError || error instanceof ReadError)) throw error;
    if (error.code === 'exhausted') throw error;
    unavailable.push({ source: 'kcore', code: error.code, why: error.message });
  } finally {
    progress.clear();
    kernel?.close();
  }
  return byFlags(type, unavailable, ask);
}

async function byFlags<T>(
  type: Recording['type'],
  unavailable: Lookup['unavailable'],
  ask: (lookup: Lookup) => T,
): Promise<T> {
  const { openFrameFile } = await import('../../host/proc/frames/frame-files.js');
  let flags: ReturnType<typeof openFrameFile>;
  try {
    flags = openFrameFile('/proc/kpageflags', MAX_WORDS);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    const { code, message: why } = error;
    const flagless = { source: 'pageflags' as const, code, why };
    return ask(noLookup('no-source', [...unavailable, flagless]));
  }
  try {
    return ask(lookupByFlags(flags, type, unavailable));
  } finally {
    flags.close();
  }
}

/**
 * Passes a reader of the kernel's own vmap area list to `record` if /proc/vmallocinfo hides addresses and
 * /proc/kcore can be read.
 */
export async function withAreas<T>(
  method: ReadingMethod,
  record: (areas?: () => readonly KernelArea[] | null) => Promise<T>,
): Promise<T> {
  if (method !== 'vmallocinfo' || !hidesAddresses(liveReadings.readFirst(VMALLOCINFO))) return record();
  let kernel: Kernel;
  try {
    kernel = await openNativeSource({ live: true, engine: 'native' });
  } catch (error) {
    if (!(error instanceof KernelError || error instanceof ReadError)) throw error;
    if (error.code === 'exhausted') throw error;
    return record();
  }
  try {
    const { kernelAreas } = await import('../../leaks/readings/vmallocinfo.js');
    return await record(() => {
      try {
        return kernelAreas(kernel);
      } catch (error) {
        // The failure applies to every lookup, so another source is used for all of them.
        if (!(error instanceof KernelError || error instanceof ReadError)) throw error;
        return null;
      }
    });
  } finally {
    kernel.close();
  }
}
