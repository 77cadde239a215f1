import { isHostError, WalkError } from '../../base/errors.js';
import type { ProcessAnswer } from '../../contracts/process.js';
import type { HostSource } from '../../host/host-source.js';
import { optionalText } from '../../host/proc/process.js';
import { answer, present } from '../kit/answer.js';
import { UsageError } from '../kit/failure.js';
import { sourceWords } from '../kit/kernel-source.js';
import { openProcessHost, type ProcessHost, readSockets, readsHost } from './host.js';
import { onePid, type ProcsOptions, selection } from './options.js';

/** Prints one process with its mappings. */
export async function showMappings(options: ProcsOptions): Promise<void> {
  const { processBlocks } = await import('../../answers/process/document.js');
  const { limit, verbose } = options;
  const words = {
    toBlocks: (process: ProcessAnswer) => processBlocks(process, { limit, verbose, source: sourceWords(options) }),
  };
  if (readsHost(options)) {
    const host = await openProcessHost(options, true);
    const pid = await onePid(options, host.source);
    if (host.captured && !hasMappings(host.source, pid)) {
      const { listProcesses } = await import('./list.js');
      const message = `mappings of pid ${pid} ${NOT_CAPTURED}`;
      return listProcesses({ ...options, pid, container: undefined }, [{ code: 'unreadable', message }]);
    }
    present(await ofHost(host, pid, options), options, words);
    return;
  }
  const { kernelProcess } = await import('../../account/processes/one-process.js');
  await answer(options, {
    doing: 'reading processes',
    ask: (kernel, progress) => kernelProcess(kernel, selection(options), progress),
    ...words,
  });
}

/** Open descriptors of one process. */
export async function showDescriptors(options: ProcsOptions): Promise<void> {
  if (options.from !== undefined) throw new UsageError('--fds does not support --from: captures have no descriptors');
  const [{ descriptorsAnswer }, { descriptorsBlocks }] = await Promise.all([
    import('../../account/processes/process.js'),
    import('../../answers/process/document.js'),
  ]);
  const words = { toBlocks: descriptorsBlocks };
  if (!readsHost(options)) {
    const [{ openDescriptors }, { Warnings }] = await Promise.all([
      import('../../walk/lists/open-descriptors.js'),
      import('../../walk/warnings.js'),
    ]);
    const { pid, container } = options;
    if (pid === undefined || container !== undefined) throw new UsageError('--fds with a dump requires --pid alone');
    return answer(options, {
      ask: (kernel) => {
        const warnings = new Warnings(kernel.doubts);
        const descriptors = openDescriptors(kernel, pid, warnings);
        return descriptorsAnswer(descriptors, warnings.list());
      },
      ...words,
    });
  }
  const [{ readDescriptors }, { liveHost }] = await Promise.all([
    import('../../host/proc/process-files.js'),
    import('../../host/live.js'),
  ]);
  const pid = await onePid(options, liveHost);
  try {
    present(descriptorsAnswer(readDescriptors(liveHost, pid)), options, words);
  } catch (error) {
    if (!isHostError(error, 'gone')) throw error;
    throw new WalkError('no-such-pid', `pid ${pid} ${WITHOUT_MEMORY.gone}`);
  }
}

/** Reasons why a process has no memory. */
const WITHOUT_MEMORY = {
  'kernel thread': 'is a kernel thread and has no memory of its own',
  zombie: 'is a zombie and has no memory',
  gone: 'does not exist or has just exited',
} as const;

/** Note if mappings were not captured: the values are then those of the process list. */
const NOT_CAPTURED =
  'were not captured: the figures are those of the list. Capture mappings: kdump-mem snapshot --with smaps';

/** @param source a capture */
function hasMappings(source: HostSource, pid: number): boolean {
  return optionalText(source, `/proc/${pid}/smaps`) !== '';
}

/** @throws {WalkError} `no-such-pid`; {@link HostError} `denied` */
async function ofHost(
  { source, captured, warnings }: ProcessHost,
  pid: number,
  options: ProcsOptions,
): Promise<ProcessAnswer> {
  const [{ readMappings }, { hostProcess }] = await Promise.all([
    import('../../host/proc/process-files.js'),
    import('../../account/processes/host.js'),
  ]);
  const mapped = await readMappings(source, pid);
  if (typeof mapped === 'string') throw new WalkError('no-such-pid', `pid ${pid} ${WITHOUT_MEMORY[mapped]}`);
  const sockets = options.sockets && (await readSockets(source, captured !== undefined));
  return hostProcess(mapped.process, mapped.mappings, sockets, { captured: captured ?? null, warnings });
}
