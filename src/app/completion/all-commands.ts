import type { Command } from 'commander';
import { registerBlocked } from '../blocked/command.js';
import { registerDiff } from '../diff/command.js';
import { registerDoctor } from '../doctor/command.js';
import { registerExplain } from '../explain/command.js';
import { registerExtract } from '../extract/command.js';
import { registerInfo } from '../info/command.js';
import { registerLeaks } from '../leaks/command.js';
import { registerLog } from '../log/command.js';
import { registerMemory } from '../memory/command.js';
import { registerProcs } from '../procs/command.js';
import { registerRead } from '../read/command.js';
import { registerRefs } from '../refs/command.js';
import { registerSkb } from '../skb/command.js';
import { registerSnapshot } from '../snapshot/command.js';
import { registerSockets } from '../sockets/command.js';
import { registerStacks } from '../stacks/command.js';
import { registerStruct } from '../struct/command.js';
import { registerTriage } from '../triage/command.js';
import { registerWatch } from '../watch/command.js';
import { registerWhatis } from '../whatis/command.js';

/** Functions that register every command except `completion` and `mcp`, which offer the others. */
export const ALL_COMMANDS: readonly ((program: Command) => void)[] = [
  registerBlocked,
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
  registerRefs,
  registerSkb,
  registerSnapshot,
  registerSockets,
  registerStacks,
  registerStruct,
  registerTriage,
  registerWatch,
  registerWhatis,
];
