import { accountMemory } from '../account/memory/memory.js';
import { chosen } from '../account/processes/chosen.js';
import { kernelProcesses } from '../account/processes/kernel.js';
import { memoryJson } from '../report/memory/json.js';
import { procsJson } from '../report/procs/json.js';
import { socketsJson } from '../report/sockets/json.js';
import { kernelTaken } from '../walk/machine/taken.js';
import { openNativeSource } from './kernel-source.js';
import { Progress } from './progress.js';

/**
 * Asks a dump what memory, sockets and procs tell.
 *
 * @throws {KernelError}, {@link ReadError}: it cannot be opened, or lacks what nothing can be told without
 */
export async function askDump(path: string): Promise<unknown[]> {
  const kernel = await openNativeSource({ vmcore: [path], engine: 'native' });
  const progress = new Progress();
  try {
    const taken = kernelTaken(kernel);
    const memory = accountMemory(kernel, progress.of(`looking at page frames of ${path}`), {
      cgroups: true,
    });
    const processes = kernelProcesses(kernel, progress.of(`looking at processes of ${path}`));
    const { census } = memory;
    return [
      memoryJson({ ...memory, taken }),
      procsJson(chosen({ ...processes, taken }, {}, String)),
      ...(census ? [socketsJson({ ...census, taken }, census.sockets)] : []),
    ];
  } finally {
    progress.clear();
    kernel.close();
  }
}
