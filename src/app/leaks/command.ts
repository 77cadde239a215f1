import type { Command } from 'commander';
import { addLeaksOptions } from './options.js';

const EXAMPLES = `
Examples:
  kdump-mem leaks                          record page allocations for 10 min, list stacks that leak
  kdump-mem leaks --interval 1h            record for an hour
  kdump-mem leaks --type slab              record slab objects (or --type vmalloc)
  kdump-mem leaks --order 3 --sample 1/1   follow every block of order 3 and larger
  kdump-mem leaks --pid 4711               only allocations by one process
  kdump-mem leaks --methods                recording methods of this kernel, and their cost
  perf script > events; kdump-mem leaks --from events
                                           an earlier recording
  kdump-mem leaks --type vmalloc --from before after --interval 10m
                                           two copies made ten minutes apart
  kdump-mem leaks --folded > stacks.folded folded stacks for a flame graph
  kdump-mem leaks --pprof leaks.pb.gz      a pprof profile

Verdicts:
leaking    grew in each third of the recording, and blocks of each third are still
           held: unreferenced, or queued and unread
growing    grows, but has an owner, is reclaimable, or its location is unknown
unknown    inconclusive; REASON names the cause
transient  its blocks turn over, or the growth stopped

HELD is memory allocated during the recording and not freed. In a sample it is an
estimate, between HELD MIN and HELD MAX with 95 % confidence.
RATE/MIN is its growth per minute, between LOW and HIGH.
Ctrl-C stops the recording and prints the results so far. Recording requires root.
Docs: docs/leaks.md.

Exit status: 0 answered, 2 wrong usage, 3 recording or writing a file failed,
4 no such process, 5 (with --strict) the answer is incomplete.`;

/** Registers `kdump-mem leaks`, which lists allocations that are not freed, by stack trace. */
export function registerLeaks(program: Command): void {
  addLeaksOptions(program.command('leaks'))
    .description('find kernel memory that is allocated and not freed, by stack trace')
    .addHelpText('after', EXAMPLES)
    .action(async (options) => {
      const { runLeaks } = await import('./run.js');
      await runLeaks(options);
    });
}
