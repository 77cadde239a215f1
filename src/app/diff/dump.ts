import { accountMemory } from '../../account/memory/memory.js';
import { chosen } from '../../account/processes/chosen.js';
import { kernelProcesses } from '../../account/processes/kernel.js';
import { accountAll } from '../../account/sockets.js';
import { memoryJson } from '../../answers/memory/json.js';
import { procsJson } from '../../answers/procs/json.js';
import { socketsJson } from '../../answers/sockets/json.js';
import type { HostState } from '../../diff/state.js';
import { kernelOrigin } from '../../walk/machine/origin.js';
import { openNativeSource } from '../kit/kernel-source.js';
import { Progress } from '../kit/terminal.js';
import { queryParts } from './parts.js';

/**
 * Computes the answers of memory, sockets and procs from a dump; an extract may lack some of them.
 *
 * @throws {KernelError}, {@link ReadError}: it cannot be opened, or contains none of them
 */
export async function queryDump(path: string): Promise<HostState> {
  const kernel = await openNativeSource({ vmcore: [path], engine: 'native' });
  const progress = new Progress();
  try {
    const origin = kernelOrigin(kernel);
    const reading = (at: string) => progress.of(`reading ${at} of ${path}`);
    let census: ReturnType<typeof accountMemory>['census'];
    return await queryParts(path, {
      'page frames': () => {
        const memory = accountMemory(kernel, reading('page frames'), { cgroups: true });
        census = memory.census;
        return memoryJson({ ...memory, origin });
      },
      processes: () => {
        const found = kernelProcesses(kernel, reading('processes'));
        return procsJson(chosen({ ...found, origin }, {}, String));
      },
      sockets: () => {
        const found = census ?? accountAll(kernel, { progress: reading('sockets') });
        return socketsJson({ ...found, origin }, found.sockets);
      },
    });
  } finally {
    progress.clear();
    kernel.close();
  }
}
