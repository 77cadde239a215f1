import type { ListAnswer, ListName } from '../../../contracts/lists.js';
import { kernelIdentity } from '../../../kernel/identity.js';
import type { Kernel } from '../../../kernel/kernel.js';
import { loadedModules } from '../../../walk/lists/loaded-modules.js';
import { mountList } from '../../../walk/lists/mount-list.js';
import { runQueues } from '../../../walk/lists/run-queues.js';
import { sharedSegments } from '../../../walk/lists/shared-segments.js';
import { swapDevices } from '../../../walk/lists/swap-devices.js';
import { type Warning, Warnings } from '../../../walk/warnings.js';

/** Readers of the lists; `pid`: a process of the namespace that is listed. */
const READERS: {
  readonly [Name in ListName]: (
    kernel: Kernel,
    warnings: Warnings,
    pid: number | undefined,
  ) => Omit<ListAnswer<Name>, 'schema' | 'kernel' | 'complete' | 'warnings'>;
} = {
  modules: loadedModules,
  mounts: mountList,
  swap: swapDevices,
  'shared-memory': sharedSegments,
  'run-queues': runQueues,
};

type Listed<Name extends ListName> = ListAnswer<Name> & { readonly warnings: readonly Warning[] };

/** Reads a list, and collects its warnings. @throws as its reader */
export function readList<Name extends ListName>(name: Name, kernel: Kernel, pid?: number): Listed<Name> {
  const warnings = new Warnings(kernel.doubts);
  const list = READERS[name](kernel, warnings, pid);
  const { complete } = warnings;
  const shape = { kernel: kernelIdentity(kernel.facts), complete, warnings: warnings.list() };
  return { schema: `kdump-mem.${name}/1`, ...list, ...shape } as unknown as Listed<Name>;
}
