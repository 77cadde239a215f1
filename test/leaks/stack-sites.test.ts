import { describe, expect, it } from 'vitest';
import { NO_STACK, OTHER_STACK, StackSites, StackTable } from '../../src/leaks/site-frames.js';

const SYMBOLS = new Map([
  [0x1000n, 'receive_mergeable'],
  [0x2000n, 'virtnet_poll'],
  [0x3000n, 'asm_common_interrupt'],
  [0x4000n, 'default_idle'],
  [0x5000n, 'do_sys_openat2'],
]);
const symbols = {
  at: (address: bigint) => {
    const name = SYMBOLS.get((address / 0x1000n) * 0x1000n);
    return name === undefined ? null : { name, offset: Number(address % 0x1000n), module: null };
  },
};

describe('sites of stacks', () => {
  it('are merged if the stacks differ only beyond an interrupt', () => {
    const table = new StackTable();
    const sites = new StackSites(table, symbols);
    const idle = sites.of(table.numberOf([0x1010n, 0x2020n, 0x3030n, 0x4040n]));
    const busy = sites.of(table.numberOf([0x1010n, 0x2020n, 0x3030n, 0x5050n]));
    const other = sites.of(table.numberOf([0x1011n, 0x2020n, 0x3030n, 0x5050n]));
    expect(busy).toBe(idle);
    expect(other).not.toBe(idle);
    expect(sites.sites.get(idle)?.frames.map(({ symbol, offset }) => [symbol, offset])).toEqual([
      ['receive_mergeable', 0x10],
      ['virtnet_poll', 0x20],
      ['asm_common_interrupt', 0x30],
    ]);
  });

  it('name the function that contains the last call, and keep unnamed functions apart', () => {
    const table = new StackTable();
    const sites = new StackSites(table, symbols);
    // It never returns: the address behind the call belongs to the next function.
    const id = sites.of(table.numberOf([0x2000n]));
    expect(sites.sites.get(id)?.frames[0]).toMatchObject({ symbol: 'receive_mergeable', offset: 0x1000 });
    const unknown = [sites.of(table.numberOf([0x9999n])), sites.of(table.numberOf([0x9998n]))];
    expect(new Set([...unknown, sites.of(NO_STACK), sites.of(OTHER_STACK)]).size).toBe(4);
    expect(new StackSites(table, null).of(1)).toBe('stack-1');
  });
});
