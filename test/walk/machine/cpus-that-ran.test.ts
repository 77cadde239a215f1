import { describe, expect, test } from 'vitest';
import { cpuMask, cpusThatRan } from '../../../src/walk/cpus.js';
import { fieldsOf } from '../../../src/walk/machine/fields.js';
import { describeMachine } from '../../../src/walk/machine-facts.js';
import { Unknowns } from '../../../src/walk/warnings.js';
import { damagedKernel } from '../../support/damaged-kernel.js';
import { fixtureKernel } from '../../support/fixture-kernel.js';

/** A kernel of two CPUs, with masks that are told here: a bit each. */
function masked(online: number, active: number) {
  const { kernel } = fixtureKernel('6.1');
  const patch = (name: string, bits: number) => ({
    address: kernel.symbol(name) ?? 0n,
    bytes: Uint8Array.of(bits),
  });
  const patches = [patch('__cpu_online_mask', online), patch('__cpu_active_mask', active)];
  return damagedKernel(kernel, { patches, denials: [] });
}

describe('CPUs that were not idle', () => {
  test('are those online, and those that a panic took out of there', () => {
    expect(cpuMask(masked(3, 3), '__cpu_possible_mask')).toEqual([0, 1]);
    expect(cpusThatRan(masked(3, 3))).toEqual([0, 1]);
    expect(cpusThatRan(masked(2, 3))).toEqual([0, 1]);
  });

  test('are not those that were unplugged', () => {
    expect(cpusThatRan(masked(1, 1))).toEqual([0]);
  });

  test('cannot be what no CPU is', () => {
    expect(() => cpusThatRan(masked(1, 5))).toThrow(expect.objectContaining({ code: 'damaged' }));
  });

  test('are each told with their task', () => {
    const kernel = masked(2, 3);
    const unknowns = new Unknowns();
    const { online, running } = describeMachine(kernel, fieldsOf(kernel), true, unknowns);
    expect(online).toEqual([1]);
    expect(running.map(({ cpu }) => cpu)).toEqual([0, 1]);
    expect(unknowns.list().filter(({ what }) => what.includes('CPU'))).toEqual([]);
  });
});
