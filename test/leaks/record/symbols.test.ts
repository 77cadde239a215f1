import { expect, test } from 'vitest';
import { moduleRanges, readKernelSymbols } from '../../../src/host/proc/kallsyms.js';
import { LiveSymbols } from '../../../src/leaks/record/symbols.js';

const KERNEL = `ffffffff81000040 t __alloc_pages
ffffffffc0201000 t receive_buf\t[virtio_net]
ffffffffc0201800 t virtnet_poll\t[virtio_net]
`;
const MODULES = `virtio_net 8192 0 - Live 0xffffffffc0201000
failover 16384 1 net_failover, Live 0x0000000000000000
`;
const NEWER = 'ffffffffc0210000 t leak_pages\t[leak]\n';
const LEAK = 'leak 16384 0 - Live 0xffffffffc0210000 (OE)\n';

const symbolsOf = (text: string, modules: string) =>
  readKernelSymbols({ readBytes: (_, onBytes) => onBytes(Buffer.from(text)) }, moduleRanges(modules));

test('does not attribute addresses behind a module to its last function', () => {
  const symbols = symbolsOf(KERNEL, MODULES);
  expect(symbols.at(0xffff_ffff_c020_1900n)).toMatchObject({ name: 'virtnet_poll', offset: 0x100 });
  expect(symbols.at(0xffff_ffff_c020_3000n)).toBeNull();
  expect(symbols.at(0xffff_ffff_c021_0010n)).toBeNull();
  expect(moduleRanges(MODULES + LEAK).size).toBe(2);
});

test('names functions of a module that is loaded meanwhile, and none of one that is unloaded', () => {
  let [symbols, modules, reads] = [KERNEL, MODULES, 0];
  const live = new LiveSymbols(
    () => {
      reads++;
      return symbolsOf(symbols, modules);
    },
    () => modules,
  );
  live.refresh();
  modules = MODULES.replace('8192 0', '8192 7');
  live.refresh();
  expect([live.at(0xffff_ffff_c021_0010n), reads]).toEqual([null, 1]);
  symbols = KERNEL + NEWER;
  modules = MODULES + LEAK;
  live.refresh();
  expect(live.at(0xffff_ffff_c021_0010n)).toMatchObject({ name: 'leak_pages', module: 'leak' });
  [symbols, modules] = [KERNEL, MODULES];
  live.refresh();
  expect([live.at(0xffff_ffff_c021_0010n), reads]).toEqual([null, 3]);
});

test('knows no symbols if addresses are hidden', () => {
  const live = new LiveSymbols(
    () => null,
    () => null,
  );
  live.refresh();
  expect([live.areKnown, live.at(0xffff_ffff_8100_0050n)]).toEqual([false, null]);
});
