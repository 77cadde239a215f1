import type { Command } from 'commander';
import { type OptionsOf, sizeFrom, timeWithin } from '../kit/arguments.js';
import { collectFiles } from '../kit/kernel-source.js';

/** What the server may read, and its limits. */
export type McpOptions = OptionsOf<typeof addMcpOptions>;

const parseBudget = sizeFrom(2048, 'at least 2k');
const parseTimeout = timeWithin(1, 86_400, '1 second to 1 day');
const parseMemory = sizeFrom(128 * 2 ** 20, 'at least 128M');

export function addMcpOptions(command: Command) {
  return command
    .option('--vmcore <file>', 'dump that may be read (repeatable)', collectFiles)
    .option('--from <file>', 'snapshot, log or recording that may be read (repeatable)', collectFiles)
    .option('--root <dir>', 'folder below which every file may be read')
    .option('--live', 'allow reading the running kernel (as root)')
    .option('--budget <size>', 'maximum size of an answer (default 8k)', parseBudget, 8192)
    .option('--timeout <time>', 'time limit of a call (default 300 s)', parseTimeout, 300)
    .option('--worker-memory <size>', 'memory limit of a call (default 2G)', parseMemory, 2 ** 31);
}
