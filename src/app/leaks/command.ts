import type { Command } from 'commander';
import { addLeaksOptions, type LeaksOptions } from './options.js';

const EXAMPLES = `
Examples:
  record page allocations for ten minutes and list the stacks that leak
    kdump-mem leaks
  record for an hour; record slab objects; record vmalloc areas
    kdump-mem leaks --interval 1h
    kdump-mem leaks --type slab
    kdump-mem leaks --type vmalloc
  follow every block of order 3 and larger; follow a single process
    kdump-mem leaks --order 3 --sample 1/1
    kdump-mem leaks --pid 4711
  list the recording methods of this kernel and their cost
    kdump-mem leaks --methods
  analyze an earlier recording, or two copies made ten minutes apart
    perf script > events; kdump-mem leaks --from events
    kdump-mem leaks --type vmalloc --from before after --interval 10m
  write folded stacks for a flame graph, or a pprof profile
    kdump-mem leaks --folded > stacks.folded
    kdump-mem leaks --pprof leaks.pb.gz

Verdicts:
leaking    it grew in each third of the recording, blocks of each third are still
           held, and they are unreferenced or stay queued
growing    it grows, but the memory has an owner, is reclaimable, or its location
           is unknown
unknown    inconclusive; REASON names the cause
transient  its blocks turn over, or the growth stopped

HELD is memory allocated during the recording and not freed. In a sample it is an
estimate, between HELD MIN and HELD MAX with 95 % confidence.
RATE/MIN is its growth per minute, between LOW and HIGH.
Ctrl-C stops the recording and prints the results so far. Recording needs root.
Docs: docs/leaks.md.

Exit status: 0 answered, 2 wrong usage, 3 recording or writing a file failed,
4 no such process, 5 (with --strict) the answer is incomplete.`;

/** `kdump-mem leaks`: what is allocated and not freed, by stack. */
export function registerLeaks(program: Command): void {
  addLeaksOptions(program.command('leaks'))
    .description('find kernel memory that is allocated and not freed, by stack trace')
    .addHelpText('after', EXAMPLES)
    .action(async (options: LeaksOptions) => {
      const { runLeaks } = await import('./run.js');
      await runLeaks(options);
    });
}
