import type { Command } from 'commander';
import { registerDiff } from './commands/diff.js';
import { registerDoctor } from './commands/doctor.js';
import { registerExplain } from './commands/explain.js';
import { registerExtract } from './commands/extract.js';
import { registerInfo } from './commands/info.js';
import { registerLeaks } from './commands/leaks.js';
import { registerLog } from './commands/log.js';
import { registerMemory } from './commands/memory.js';
import { registerProcs } from './commands/procs.js';
import { registerRead } from './commands/read.js';
import { registerSkb } from './commands/skb.js';
import { registerSnapshot } from './commands/snapshot.js';
import { registerSockets } from './commands/sockets.js';
import { registerStacks } from './commands/stacks.js';
import { registerStruct } from './commands/struct.js';
import { registerTriage } from './commands/triage.js';
import { registerWatch } from './commands/watch.js';

/** Declares every command but `completion`, which asks what the others have. */
export const ALL_COMMANDS: readonly ((program: Command) => void)[] = [
  registerDiff,
  registerDoctor,
  registerExplain,
  registerExtract,
  registerInfo,
  registerLeaks,
  registerLog,
  registerMemory,
  registerProcs,
  registerRead,
  registerSkb,
  registerSnapshot,
  registerSockets,
  registerStacks,
  registerStruct,
  registerTriage,
  registerWatch,
];
