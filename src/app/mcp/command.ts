import type { Command } from 'commander';
import { sizeFrom, timeWithin } from '../kit/arguments.js';
import { collectFiles } from '../kit/kernel-source.js';
import type { McpOptions } from './sources.js';

const EXAMPLES = `
Examples:
  kdump-mem mcp --vmcore vmcore                     serve one dump
  kdump-mem mcp --from before.tar.gz --from after.tar.gz
                                                    serve snapshots, logs or recordings
  kdump-mem mcp --root /var/crash                   serve every file below a folder
  kdump-mem mcp --live                              serve this machine, as root
  kdump-mem mcp                                     serve only text that calls contain
  claude mcp add kdump-mem -- kdump-mem mcp --root /var/crash

An agent’s program starts this command and writes requests to its standard input. Tools are triage, memory,
procs, sockets, skb, stacks, blocked, log, whatis, inspect, leaks and diff. The server runs no shell, writes no file
with a name, and opens no file that is not named here. Docs: docs/mcp.md.

Exit status: 0 the client closed the connection, 2 usage error, 3 a file could not be opened.`;

const parseBudget = sizeFrom(2048, 'at least 2k');
const parseTimeout = timeWithin(1, 86_400, '1 second to 1 day');
const parseMemory = sizeFrom(128 * 2 ** 20, 'at least 128M');

/** Registers `kdump-mem mcp`, which serves answers to agents. */
export function registerMcp(program: Command): void {
  program
    .command('mcp')
    .description('serve answers to an agent over the Model Context Protocol, read-only')
    .option('--vmcore <file>', 'dump that may be read (repeatable)', collectFiles)
    .option('--from <file>', 'snapshot, log or recording that may be read (repeatable)', collectFiles)
    .option('--root <dir>', 'folder below which every file may be read')
    .option('--live', 'allow reading the running kernel (as root)')
    .option('--budget <size>', 'maximum size of an answer (default 8k)', parseBudget, 8192)
    .option('--timeout <time>', 'time limit of a call (default 300 s)', parseTimeout, 300)
    .option('--worker-memory <size>', 'memory limit of a call (default 2G)', parseMemory, 2 ** 31)
    .addHelpText('after', EXAMPLES)
    .action(async (options: McpOptions) => {
      const { serve } = await import('./server.js');
      await serve(options);
    });
}
