import type { Command } from 'commander';
import { addLeaksOptions, type LeaksOptions } from './options.js';

const EXAMPLES = `
Examples:
  what of the pages that are allocated in ten minutes is not freed, by stack, and
  where it is now
    kdump-mem leaks
  for an hour, in windows of four minutes; objects of slabs; areas of vmalloc
    kdump-mem leaks --interval 1h
    kdump-mem leaks --type slab
    kdump-mem leaks --type vmalloc
  only large blocks, and each of them; only what one process allocates
    kdump-mem leaks --order 3 --sample 1/1
    kdump-mem leaks --pid 4711
  what this kernel offers, and what each costs
    kdump-mem leaks --methods
  of what was recorded before, and copied from /proc twice, ten minutes apart
    perf script > events; kdump-mem leaks --from events
    kdump-mem leaks --type vmalloc --from before after --interval 10m
  for a flame graph, for pprof
    kdump-mem leaks --folded > stacks.folded
    kdump-mem leaks --pprof leaks.pb.gz

leaking  it grew through all of the time, blocks of each third of the time are
         there still, and nothing leads to them, or nobody takes them
growing  it grows, and somebody has it who may give it back, or that is not known
unknown  it cannot be told; WHY says what to ask
alive    it turns over, or stands still

HELD is what was allocated since it began and not freed. Of a sample it is an
estimate, between AT LEAST and AT MOST with 95 %. A MINUTE is how fast it grows.
Ctrl-C ends it early, with what there is. It needs root. Docs: docs/leaks.md.

Exit status: 0 answered, 2 wrong usage, 3 it could not be recorded, or a file not
be written, 4 the process is not there, 5 (with --strict) the answer is incomplete.`;

/** `kdump-mem leaks`: what is allocated and not freed, by stack. */
export function registerLeaks(program: Command): void {
  addLeaksOptions(program.command('leaks'))
    .description('what this kernel allocates and does not free, by stack, and where it is now')
    .addHelpText('after', EXAMPLES)
    .action(async (options: LeaksOptions) => {
      const { runLeaks } = await import('./run.js');
      await runLeaks(options);
    });
}
