import { accountMemory } from '../../../src/account/memory/memory.js';
import { chosen } from '../../../src/account/processes/groups.js';
import { kernelProcesses } from '../../../src/account/processes/kernel.js';
import { accountAll } from '../../../src/account/sockets.js';
import type { Kernel } from '../../../src/kernel/kernel.js';
import type { Command, Said } from './answers.js';

/** `procs`: its reads in addition to sockets and the machine's memory. */
export const PROCS = {
  commands: (): Command[] => [{ name: 'procs', ask }],
  before(kernel: Kernel): void {
    accountAll(kernel);
    accountMemory(kernel);
  },
  // `memory` covers damage to struct pages.
  frames: () => new Map(),
};

function ask(kernel: Kernel): Said {
  const found = kernelProcesses(kernel);
  const all = chosen(found, { by: undefined, select: () => true }, String);
  return { json: all.answer, complete: found.complete };
}
