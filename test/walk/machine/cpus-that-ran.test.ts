import { describe, expect, test } from 'vitest';
import { cpuMask, cpusThatRan } from '../../../src/walk/cpus.js';
import { fieldsOf } from '../../../src/walk/machine/fields.js';
import { describeMachine } from '../../../src/walk/machine-facts.js';
import { Unknowns } from '../../../src/walk/warnings.js';
import { fixtureKernel } from '../../support/opened-kernel.js';

const { set, damagedBy } = fixtureKernel('6.1');

/** A kernel with two CPUs and these masks, one bit per CPU. */
function masked(online: number, active: number) {
  return damagedBy(set('__cpu_online_mask', 8, online), set('__cpu_active_mask', 8, active));
}

describe('CPUs that were not idle', () => {
  test('are the online ones, and those that a panic took offline', () => {
    expect(cpuMask(masked(3, 3), '__cpu_possible_mask')).toEqual([0, 1]);
    expect(cpusThatRan(masked(3, 3))).toEqual([0, 1]);
    expect(cpusThatRan(masked(2, 3))).toEqual([0, 1]);
  });

  test('do not include unplugged ones', () => {
    expect(cpusThatRan(masked(1, 1))).toEqual([0]);
  });

  test('are rejected if the mask has bits of CPUs that do not exist', () => {
    expect(() => cpusThatRan(masked(1, 5))).toThrow(expect.objectContaining({ code: 'damaged' }));
  });

  test('are listed with their tasks', () => {
    const kernel = masked(2, 3);
    const unknowns = new Unknowns();
    const { online, running } = describeMachine(kernel, fieldsOf(kernel), unknowns);
    expect(online).toEqual([1]);
    expect(running.map(({ cpu }) => cpu)).toEqual([0, 1]);
    expect(unknowns.list().filter(({ what }) => what.includes('CPU'))).toEqual([]);
  });
});
