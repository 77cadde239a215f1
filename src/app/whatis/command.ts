import type { Command } from 'commander';
import type { WhatisAnswer } from '../../contracts/whatis.js';
import { kernelIdentity } from '../../kernel/identity.js';
import { Warnings } from '../../walk/warnings.js';
import { present } from '../kit/answer.js';
import { besideDumps } from '../kit/dump-arguments.js';
import { addSourceOptions, withNativeSource } from '../kit/kernel-source.js';
import { addressOfPlace, type PlaceOrFrame, parsePlaceOrFrame } from '../kit/place-or-frame.js';

const EXAMPLES = `
ADDR is hex, with or without 0x; +OFFSET is decimal, or hex with 0x. SYMBOL:CPU is a per-CPU
variable of one CPU. pfn:N is a page frame, decimal or hex with 0x.

Examples:
  kdump-mem whatis ffff8f07c2592700 --vmcore vmcore
      slab object, stack, symbol, vmalloc area, struct page, or the owner of the page
  kdump-mem whatis pfn:0x1a2b3 ffffffff82a13940 --vmcore vmcore
      several at once: memory is passed over once at most
  kdump-mem whatis init_task+0x10 --live

A page that is no slab, stack or area needs a pass over all memory. Anonymous memory is named by
the first process that maps it.

Exit status: 0 answered, 2 wrong usage, 3 the dump could not be opened, 4 no such symbol, 5 (with
--strict) something could not be read.`;

/** Registers `kdump-mem whatis`, which identifies addresses. */
export function registerWhatis(program: Command): void {
  const command = addSourceOptions(program.command('whatis'), []);
  const parse = besideDumps(() => command, parsePlaceOrFrame);
  command
    .description('identify addresses: slab object, stack or symbol, or the file, process or socket that owns the page')
    .argument(
      '<place...>',
      'ADDR, SYMBOL or SYMBOL:CPU, each with +OFFSET, or pfn:N',
      (text: string, before: readonly PlaceOrFrame[] = []): readonly PlaceOrFrame[] => [...before, parse(text)],
    )
    .option('--json', 'print the answer as JSON')
    .option('--strict', 'exit with status 5 if anything could not be read')
    .addHelpText('after', EXAMPLES)
    .action(async (places, options) => {
      const [{ AddressIdentifier }, { whatisBlocks }] = await Promise.all([
        import('../../account/whatis.js'),
        import('../../answers/whatis/document.js'),
      ]);
      const identified = await withNativeSource(options, (kernel, progress): WhatisAnswer => {
        const addresses = places.map((place) => addressOfPlace(kernel, place));
        const warnings = new Warnings(kernel.doubts);
        const scanning = progress('scanning page frames');
        const identifier = new AddressIdentifier(kernel, kernel.symbolTable, warnings, scanning);
        const identities = addresses.map((address) => identifier.of(address));
        return {
          schema: 'kdump-mem.whatis/1',
          kernel: kernelIdentity(kernel.facts),
          identities,
          complete: warnings.complete,
          warnings: warnings.list(),
        };
      });
      const byFrame = places.map((place) => 'frame' in place);
      present(identified, options, { toBlocks: (answer) => whatisBlocks(answer, byFrame) });
    });
}
