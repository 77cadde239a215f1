import type { ProcessAnswer } from '../../account/processes/mappings.js';
import { WalkError } from '../../base/errors/walk.js';
import type { HostSource } from '../../host/host-source.js';
import { optionalText } from '../../host/proc/process.js';
import { answer, tell } from '../kit/answer.js';
import { sourceWords } from '../kit/kernel-source.js';
import { openProcessHost, type ProcessHost, readsHost } from './host.js';
import { onePid } from './one-process.js';
import { type ProcsOptions, selection } from './options.js';
import { seenSockets } from './sockets.js';

/** One process, and what it maps. */
export async function showMappings(options: ProcsOptions): Promise<void> {
  const [{ processJson }, { processText }] = await Promise.all([
    import('../../answers/process/json.js'),
    import('../../answers/process/text.js'),
  ]);
  const { limit, verbose } = options;
  const words = {
    toJson: processJson,
    toText: (found: ProcessAnswer, width: number | null) =>
      processText(found, { limit, verbose, width, source: sourceWords(options) }),
  };
  if (readsHost(options)) {
    const host = await openProcessHost(options, true);
    const pid = await onePid(options, host.source);
    if (host.captured && !hasMappings(host.source, pid)) {
      const { listProcesses } = await import('./list.js');
      const message = `mappings of pid ${pid} ${NOT_CAPTURED}`;
      return listProcesses({ ...options, pid, container: undefined }, [
        { code: 'unreadable', message },
      ]);
    }
    tell(await ofHost(host, pid, options), options, words);
    return;
  }
  const { kernelProcess } = await import('../../account/processes/one-process.js');
  await answer(options, {
    doing: 'reading processes',
    ask: (kernel, progress) => kernelProcess(kernel, selection(options), progress),
    ...words,
  });
}

/** Why a process has no memory. */
const WITHOUT_MEMORY = {
  'kernel thread': 'is a kernel thread and has no memory of its own',
  zombie: 'is a zombie and has no memory',
  gone: 'does not exist or has just exited',
} as const;

/** The answer then has the figures of the list. */
const NOT_CAPTURED =
  'were not captured: the figures are those of the list. Capture mappings: kdump-mem snapshot --with smaps';

/** @param source a capture */
function hasMappings(source: HostSource, pid: number): boolean {
  return optionalText(source, `/proc/${pid}/smaps`) !== '';
}

/** @throws {WalkError} `no-such-pid`; {@link HostError} `denied`: it may not be looked at */
async function ofHost(
  { source, captured, warnings }: ProcessHost,
  pid: number,
  options: ProcsOptions,
): Promise<ProcessAnswer> {
  const [{ readMappings }, { hostProcess }] = await Promise.all([
    import('../../host/proc/process-mappings.js'),
    import('../../account/processes/host.js'),
  ]);
  const found = await readMappings(source, pid);
  if (typeof found === 'string')
    throw new WalkError('no-such-pid', `pid ${pid} ${WITHOUT_MEMORY[found]}`);
  const sockets = options.sockets && (await seenSockets(source, captured !== undefined));
  return hostProcess(found.process, found.mappings, sockets, { captured, warnings });
}
