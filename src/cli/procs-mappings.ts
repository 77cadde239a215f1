import type { ProcessAnswer } from '../account/processes/mappings.js';
import { WalkError } from '../walk/error.js';
import { answer, tell } from './answer.js';
import { UsageError } from './failure.js';
import { sourceWords } from './kernel-source.js';
import { type ProcsOptions, selection } from './procs-options.js';
import { seenSockets } from './procs-sockets.js';

/** One process, and what it maps. */
export async function showMappings(options: ProcsOptions): Promise<void> {
  const [{ processJson }, { processText }] = await Promise.all([
    import('../report/process/json.js'),
    import('../report/process/text.js'),
  ]);
  const { limit, verbose } = options;
  const words = {
    toJson: processJson,
    toText: (found: ProcessAnswer, width: number | null) =>
      processText(found, { limit, verbose, width, source: sourceWords(options) }),
  };
  if (options.live) {
    if (options.engine !== 'auto') throw new UsageError('--live reads /proc: it has no --engine');
    const found = await ofThisMachine(options);
    tell(found, options, words);
    return;
  }
  const { kernelProcess } = await import('../account/processes/one-process.js');
  await answer(options, {
    doing: 'looking at processes',
    ask: (kernel, progress) => kernelProcess(kernel, selection(options), progress),
    ...words,
  });
}

/** What a process that has no memory is told to be. */
const WITHOUT_MEMORY = {
  'kernel thread': 'is a kernel thread: it has no memory of its own',
  zombie: 'has ended, and waits for its parent (a zombie): it has no memory any more',
  gone: 'is not there, or has just ended',
} as const;

/** @throws {WalkError} `no-such-pid`; {@link HostError} `denied`: it may not be looked at */
async function ofThisMachine(options: ProcsOptions): Promise<ProcessAnswer> {
  const [{ liveHost }, { readMappings }, { hostProcess }, { onePid }] = await Promise.all([
    import('../host/live.js'),
    import('../host/proc/process-mappings.js'),
    import('../account/processes/host.js'),
    import('./procs-one.js'),
  ]);
  const pid = await onePid(options);
  const found = readMappings(liveHost, pid);
  if (typeof found === 'string')
    throw new WalkError('no-such-pid', `pid ${pid} ${WITHOUT_MEMORY[found]}`);
  const sockets = options.sockets && (await seenSockets());
  return hostProcess(found.process, found.mappings, sockets);
}
