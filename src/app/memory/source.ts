import type { MemoryAnswer } from '../../account/memory/answer.js';
import { HostError } from '../../base/errors.js';
import { UsageError } from '../kit/failure.js';
import { checkFrom, LIVE_SOURCES, type LiveOptions } from '../kit/from-argument.js';
import { KERNEL_FILES, usesCrash } from '../kit/kernel-source.js';
import type { MemoryDepth } from './depths.js';

/**
 * Returns a sampler of this machine if the options request one. It uses the native engine. The sampler takes
 * the source of an earlier sample, to use the same one again.
 *
 * @param depth requested detail list
 * @throws {UsageError} for options that conflict
 */
export async function liveSampler(
  options: LiveOptions,
  depth: MemoryDepth | undefined,
  progress: (part: number) => void,
): Promise<((source?: MemoryAnswer['source']) => Promise<MemoryAnswer>) | undefined> {
  const { live, source, engine, from } = options;
  if (from !== undefined) {
    if (depth?.needsFrames)
      throw new UsageError(`--${depth.name} needs kernel memory; a snapshot contains counters only`);
    checkFrom(options);
    return async () => (await import('./captured.js')).capturedMemory(from, depth === undefined);
  }
  if (source !== undefined && !live) throw new UsageError('--source requires --live');
  if (!live) return undefined;
  if (usesCrash(options)) {
    if (source !== undefined && source !== 'kcore')
      throw new UsageError(`--engine ${engine} reads /proc/kcore and conflicts with --source ${source}`);
    return undefined;
  }
  const unused = KERNEL_FILES.find((name) => options[name] !== undefined);
  if (unused !== undefined && source !== undefined && source !== 'kcore')
    throw new UsageError(`--${unused} requires /proc/kcore and conflicts with --source ${source}`);
  if (depth?.needsFrames && source !== undefined && source !== 'kcore')
    throw new UsageError(`--${depth.name} needs kernel memory and conflicts with --source ${source}`);
  const [{ liveMemory: lookLive }, { liveHost }] = await Promise.all([
    import('./live.js'),
    import('../../host/live.js'),
  ]);
  const isKcoreOnly = KERNEL_FILES.some((name) => options[name] !== undefined);
  if (depth?.name === 'files' && source === undefined && !isKcoreOnly) {
    const { mayReadCachedFiles, readCachedFiles } = await import('../../host/proc/cached-files.js');
    if (mayReadCachedFiles(liveHost))
      return async () => {
        const answer = await lookLive(options, progress, depth.walks);
        if (answer.source === 'kcore') return answer;
        const { withCachedFiles } = await import('../../account/memory/details.js');
        return withCachedFiles(answer, await readCachedFiles(liveHost));
      };
  }
  const request = depth?.needsFrames ? ({ ...options, source: 'kcore' } as const) : options;
  return async (again) => {
    const pinned = LIVE_SOURCES.find((source) => source === again);
    const asked = pinned ? { ...request, source: pinned } : request;
    const answer = await lookLive(asked, progress, depth?.walks);
    if (depth || answer.source === 'kcore') return answer;
    const { socketsTogether } = await import('../../skcheck/sockets-of-processes.js');
    return { ...answer, socketEstimate: await socketsTogether(liveHost, process.geteuid?.() === 0) };
  };
}

/** @throws {HostError} if an answer lacks the requested list */
export function refuseWithout({ part, name }: MemoryDepth, { noDetails, captured }: MemoryAnswer): void {
  const why = part === undefined ? undefined : noDetails[part];
  const advice = captured ? { next: `Omit --${name} to see what the capture has.` } : {};
  if (why !== undefined) throw new HostError('unreadable', `--${name}: not available (${why})`, advice);
}
