import { expect, test } from 'vitest';
import { moduleRanges, readKernelSymbols } from '../../../src/host/proc/kallsyms.js';
import { SymbolsMeanwhile } from '../../../src/leaks/record/symbols.js';

const KERNEL = 'ffffffff81000040 t __alloc_pages\n';
const [PLACE, OTHER_PLACE] = [0xffff_ffff_c021_0000n, 0xffff_ffff_c031_0000n];

/** Modules with one function each, named after the module. */
class Machine {
  readonly #modules = new Map<string, bigint>();
  reads = 0;
  hides = false;
  readonly symbols = new SymbolsMeanwhile(
    () => {
      this.reads++;
      if (this.hides) return null;
      const lines = [...this.#modules].map(([name, at]) => `${at.toString(16)} t ${name}_take\t[${name}]\n`);
      const text = `${KERNEL}${lines.join('')}`;
      return readKernelSymbols({ readBytes: (_, onBytes) => onBytes(Buffer.from(text)) }, moduleRanges(this.#text()));
    },
    () => this.#text(),
  );

  load(name: string, at: bigint): void {
    this.#modules.set(name, at);
    this.symbols.refresh();
  }

  unload(name: string): void {
    this.#modules.delete(name);
    this.symbols.refresh();
  }

  nameAt(address: bigint): string | undefined {
    return this.symbols.at(address)?.name;
  }

  #text(): string {
    return [...this.#modules].map(([name, at]) => `${name} 16384 0 - Live 0x${at.toString(16)}\n`).join('');
  }
}

test('names a function of a module that was loaded and unloaded meanwhile', () => {
  const machine = new Machine();
  machine.load('leak', PLACE);
  machine.unload('leak');
  expect(machine.symbols.at(PLACE + 16n)).toEqual({ name: 'leak_take', module: 'leak', offset: 16 });
  expect(machine.nameAt(0xffff_ffff_8100_0050n)).toBe('__alloc_pages');
  // Behind the end of the module.
  expect(machine.nameAt(PLACE + 16384n)).toBeUndefined();
});

test('names a module that is reloaded at the same or at another address', () => {
  const machine = new Machine();
  for (const place of [PLACE, PLACE, OTHER_PLACE]) {
    machine.load('leak', place);
    machine.unload('leak');
  }
  expect([PLACE, OTHER_PLACE].map((at) => machine.nameAt(at))).toEqual(['leak_take', 'leak_take']);
});

test('names no function at an address that two modules used in turn', () => {
  const machine = new Machine();
  machine.load('one', PLACE);
  machine.unload('one');
  machine.load('other', PLACE);
  expect(machine.nameAt(PLACE)).toBeUndefined();
  expect(machine.nameAt(0xffff_ffff_8100_0050n)).toBe('__alloc_pages');
});

test('reads symbols once after a load, and hides no module', () => {
  const machine = new Machine();
  machine.load('one', PLACE);
  machine.load('other', OTHER_PLACE);
  machine.symbols.refresh();
  expect(machine.reads).toBe(3);
  expect([PLACE, OTHER_PLACE].map((at) => machine.nameAt(at))).toEqual(['one_take', 'other_take']);
});

test('names kernel functions, but no modules, beyond the limit', () => {
  const machine = new Machine();
  machine.load('stays', OTHER_PLACE);
  for (let count = 0; count < 9; count++) {
    machine.load('leak', PLACE);
    machine.unload('leak');
    if (count === 7) expect(machine.nameAt(OTHER_PLACE)).toBe('stays_take');
  }
  expect(machine.nameAt(OTHER_PLACE)).toBeUndefined();
  expect(machine.nameAt(0xffff_ffff_8100_0050n)).toBe('__alloc_pages');
});

test('keeps names that are hidden later', () => {
  const machine = new Machine();
  machine.load('leak', PLACE);
  machine.hides = true;
  machine.unload('leak');
  expect(machine.nameAt(PLACE)).toBe('leak_take');
});

test('knows no symbols if addresses are hidden', () => {
  const symbols = new SymbolsMeanwhile(
    () => null,
    () => null,
  );
  symbols.refresh();
  expect([symbols.areKnown, symbols.at(PLACE)]).toEqual([false, null]);
});

test('retries symbols at the next check if they were unreadable at a load', () => {
  const machine = new Machine();
  machine.hides = true;
  machine.load('late', PLACE);
  expect(machine.nameAt(PLACE)).toBeUndefined();
  machine.hides = false;
  machine.symbols.refresh();
  expect(machine.nameAt(PLACE)).toBe('late_take');
});
