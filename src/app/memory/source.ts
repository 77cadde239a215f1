import type { MemoryAnswer } from '../../account/memory/answer.js';
import { HostError } from '../../base/errors/host.js';
import { UsageError } from '../kit/failure.js';
import { checkFrom } from '../kit/from-argument.js';
import { LIVE_SOURCES, type LiveOptions } from '../kit/live-sources.js';
import type { MemoryDepth } from './depths.js';

/** Options that are for /proc/kcore. */
const OF_KCORE = ['vmlinux', 'symbols', 'types', 'crash', 'map'] as const;

/**
 * How to look at this machine, if that is what is asked for, by our own engine.
 *
 * What comes back takes the source of a look before, to look at the same again.
 *
 * @param depth what of the answer is asked for
 * @throws {UsageError} for options that mean nothing together
 */
export async function liveLook(
  options: LiveOptions,
  depth: MemoryDepth | undefined,
  progress: (part: number) => void,
): Promise<((source?: MemoryAnswer['source']) => Promise<MemoryAnswer>) | undefined> {
  const { live, source, engine, from } = options;
  if (from !== undefined) {
    if (depth?.needsFrames)
      throw new UsageError(`--${depth.name} needs the kernel’s memory, and a capture has counters`);
    checkFrom(options);
    return async () => (await import('./captured.js')).lookCaptured(from);
  }
  if (source !== undefined && !live) throw new UsageError('--source is for --live');
  if (!live) return undefined;
  if (engine === 'crash' || engine === 'verify') {
    if (source !== undefined && source !== 'kcore')
      throw new UsageError(`--engine ${engine} reads /proc/kcore, and --source says ${source}`);
    return undefined;
  }
  const unused = OF_KCORE.find((name) => options[name] !== undefined);
  if (unused !== undefined && source !== undefined && source !== 'kcore')
    throw new UsageError(`--${unused} is for /proc/kcore, and --source says ${source}`);
  if (depth?.needsFrames && source !== undefined && source !== 'kcore')
    throw new UsageError(`--${depth.name} needs the kernel’s memory, and --source says ${source}`);
  const { lookLive } = await import('./live.js');
  const asked = depth?.needsFrames ? ({ ...options, source: 'kcore' } as const) : options;
  return (again) => {
    const pinned = LIVE_SOURCES.find((one) => one === again);
    return lookLive(pinned ? { ...asked, source: pinned } : asked, progress, depth?.asks);
  };
}

/** @throws {HostError} if an answer has nothing of what a depth shows: an empty table would say so */
export function refuseWithout({ part, name }: MemoryDepth, { noDetails }: MemoryAnswer): void {
  const why = part === undefined ? undefined : noDetails?.[part];
  if (why !== undefined) throw new HostError('unreadable', `--${name} cannot be told: ${why}`);
}
