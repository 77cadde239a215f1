import type { Command } from 'commander';
import { addMcpOptions } from './options.js';

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

/** Registers `kdump-mem mcp`, which serves answers to agents. */
export function registerMcp(program: Command): void {
  addMcpOptions(program.command('mcp'))
    .description('serve answers to an agent over the Model Context Protocol, read-only')
    .addHelpText('after', EXAMPLES)
    .action(async (options) => {
      const { serve } = await import('./server.js');
      await serve(options);
    });
}
