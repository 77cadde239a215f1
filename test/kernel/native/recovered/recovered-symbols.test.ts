import { describe, expect, test } from 'vitest';
import { findPerCpu } from '../../../../src/kernel/native/recovered/recovered-symbols.js';

const BASE = 0xffff_8000_0100_0000n;
const VARIABLES = new Map([
  ['runqueues', { offset: 0x100, size: 64 }],
  ['softnet_data', { offset: 0x200, size: 64 }],
  ['cpu_number', { offset: 8, size: 4 }],
  ['napi_alloc_cache', { offset: 0x300, size: 24 }],
]);
const EXPORTED = new Map([
  ['cpu_number', BASE + 8n],
  ['runqueues', BASE + 0x100n],
  ['softnet_data', BASE + 0x200n],
  ['kfree', 0xffff_8000_0000_1000n],
]);

describe('templates of per-CPU variables', () => {
  test('are located at the section start that the exported ones imply', () => {
    const found = findPerCpu(VARIABLES, EXPORTED);
    expect(found.get('napi_alloc_cache')).toBe(BASE + 0x300n);
    expect(found.get('__per_cpu_start')).toBe(BASE);
    expect(found.get('__per_cpu_end')).toBe(BASE + 0x318n);
  });

  test('are offsets if the kernel exports offsets (x86_64 before 6.15)', () => {
    const offsets = new Map(Array.from(VARIABLES, ([name, { offset }]) => [name, BigInt(offset)]));
    expect(findPerCpu(VARIABLES, offsets).get('napi_alloc_cache')).toBe(0x300n);
  });

  test.each([
    ['one exported variable is elsewhere', new Map([...EXPORTED, ['runqueues', BASE + 0x108n]])],
    ['only two agree', new Map([...EXPORTED].slice(1))],
    ['none is exported', new Map<string, bigint>()],
  ])('are unknown if %s', (_, exported) => {
    expect(findPerCpu(VARIABLES, exported).size).toBe(0);
  });
});
