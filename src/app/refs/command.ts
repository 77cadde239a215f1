import { type Command, Option } from 'commander';
import type { CategoryName } from '../../records/categories.js';
import { present } from '../kit/answer.js';
import { parseNumber } from '../kit/arguments.js';
import { besideDumps } from '../kit/dump-arguments.js';
import { UsageError } from '../kit/failure.js';
import { addSourceOptions, withNativeSource } from '../kit/kernel-source.js';
import { addressOfPlace, type PlaceOrFrame, parsePlaceOrFrame } from '../kit/place-or-frame.js';

const EXAMPLES = `
ADDR is hex, with or without 0x; +OFFSET is decimal, or hex with 0x. SYMBOL:CPU is a per-CPU
variable of one CPU. pfn:N is a page frame, decimal or hex with 0x. The target is the complete
object, symbol, stack, area or page block that the place is in.

Examples:
  kdump-mem refs ffff8f07c2592700 --vmcore vmcore
      every pointer to the object, or to an address in it, and what holds each pointer
  kdump-mem refs pfn:0x1a2b3 --vmcore vmcore
      also pointers to the struct page
  kdump-mem refs --cache TCP --vmcore vmcore
      references to all objects of a slab cache, in one pass over memory
  kdump-mem refs --category unattributed --vmcore vmcore
      references to all blocks of pages of a category of kdump-mem memory

Found: 8-byte words at multiples of 8 that are an address in the target, with or without low bits
set, or the address of its struct page. Not found: page table entries and other frame numbers,
physical addresses of devices, offsets, per-CPU pointers, encoded freelists.

Exit status: 0 answered, 2 wrong usage, 3 the dump could not be opened, or is an extract, 4 no such
symbol, cache or page, 5 (with --strict) a part of the kernel’s memory could not be scanned.`;

/** Registers `kdump-mem refs`, which finds pointers to objects and pages. */
export function registerRefs(program: Command): void {
  const command = addSourceOptions(program.command('refs'), []);
  const parse = besideDumps(() => command, parsePlaceOrFrame);
  command
    .description('find every place in memory that holds a pointer to an object or page')
    .argument(
      '[place...]',
      'ADDR, SYMBOL or SYMBOL:CPU, each with +OFFSET, or pfn:N',
      (text: string, before: readonly PlaceOrFrame[] = []): readonly PlaceOrFrame[] => [...before, parse(text)],
    )
    .option('--cache <name>', 'search for references to all objects of a slab cache')
    .addOption(
      new Option(
        '--category <name>',
        'search for references to all pages of a category, such as unattributed',
      ).conflicts('cache'),
    )
    .option('--limit <n>', 'maximum number of rows and references (default 20)', parseNumber)
    .option('--json', 'print the answer as JSON')
    .option('--strict', 'exit with status 5 if a part of memory could not be scanned')
    .addHelpText('after', EXAMPLES)
    .action(async (places = [], options) => {
      if (options.live) throw new UsageError('refs needs a dump: the memory of a running kernel changes');
      if (places.length === 0 && options.cache === undefined && options.category === undefined)
        throw new UsageError('nothing to search for: name a place, --cache or --category');
      const [{ searchReferences }, refs, { CATEGORIES }] = await Promise.all([
        import('../../account/references/search.js'),
        import('../../answers/refs/document.js'),
        import('../../records/categories.js'),
      ]);
      const result = await withNativeSource(options, (kernel, progress) => {
        const category = CATEGORIES.find((known) => known === options.category);
        if (options.category !== undefined && category === undefined)
          throw unknownCategory(options.category, CATEGORIES);
        const addresses: bigint[] = [];
        const frames: number[] = [];
        for (const place of places) {
          const address = addressOfPlace(kernel, place);
          if ('frame' in place) frames.push(place.frame);
          else addresses.push(address);
        }
        const { cache, limit = 20 } = options;
        const targets = { addresses, frames, cache, category };
        return searchReferences(kernel, kernel.symbolTable, targets, limit, progress);
      });
      present(result, options, { toJson: refs.refsAnswer, toBlocks: refs.refsBlocks });
    });
}

function unknownCategory(name: string, names: readonly CategoryName[]): UsageError {
  return new UsageError(`no category ${name} (categories: ${names.join(', ')})`);
}
