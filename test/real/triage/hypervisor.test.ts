import { describe, expect, test } from 'vitest';
import { findingWords } from '../../../src/answers/triage/words.js';
import type { Kernel } from '../../../src/kernel/kernel.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { triage } from '../../../src/triage/triage.js';
import { needSymbol, perCpuAddress } from '../../../src/walk/cpus.js';
import { readCpuTimes } from '../../../src/walk/machine/clock.js';
import { type Damage, memoryOf } from '../../support/damaged-kernel.js';
import { drgnJson } from '../../support/drgn.js';
import { KERNELS, labDump, ofRun } from '../../support/lab.js';

const SCRIPT = new URL('./cpu-times.py', import.meta.url);
const SECOND = 1_000_000_000;

test.each(KERNELS)('%s: the busy time of all CPUs equals drgn’s', (name) => {
  const { elf } = labDump(name);
  const truth = drgnJson<{ busy: number; steal: number }>(elf, name, SCRIPT);
  const kernel = openNative({ files: [elf] });
  const { busySeconds, stealSeconds } = readCpuTimes(kernel);
  kernel.close();
  expect(busySeconds).toBeCloseTo(truth.busy / SECOND, 5);
  expect(stealSeconds).toBe(truth.steal / SECOND);
  expect(truth.busy).toBeGreaterThan(SECOND);
});

/** Another value of a word of CPU 0’s copy of a per-CPU variable. */
function changed(kernel: Kernel, symbol: string, part: string, value: bigint, index = 0): Damage {
  const { addressOf, set } = memoryOf(kernel);
  const variable = perCpuAddress(kernel, needSymbol(kernel, symbol), 0);
  return set(addressOf(variable, part) + BigInt(8 * index), 8, value);
}

describe.each(ofRun(['6.12', 'newest'] as const))('steal time in a dump of %s', (name) => {
  const stolen = (kernel: Kernel, seconds: number) => {
    const index = Number(kernel.enumerators('cpu_usage_stat')?.get('CPUTIME_STEAL'));
    return changed(kernel, 'kernel_cpustat', 'kernel_cpustat.cpustat', BigInt(seconds * SECOND), index);
  };
  const open = () => openNative({ files: [labDump(name).elf] });
  const triaged = (kernel: Kernel, damages: readonly Damage[]) => {
    const { findings, warnings, complete } = triage(memoryOf(kernel).damagedBy(...damages));
    kernel.close();
    return { found: findings.filter(({ code }) => code === 'hypervisor-overcommitted'), warnings, complete };
  };

  test('is a finding if the CPU time and the scheduler agree', () => {
    const kernel = open();
    const { busySeconds } = readCpuTimes(kernel);
    const { found, warnings, complete } = triaged(kernel, [
      stolen(kernel, 59),
      changed(kernel, 'runqueues', 'rq.prev_steal_time', BigInt(59 * SECOND)),
    ]);
    expect({ warnings, complete }).toEqual({ warnings: [], complete: true });
    expect(found).toMatchObject([
      { severity: 'warning', figures: { stealSeconds: 59, recentShare: null, idleLockups: 0 } },
    ]);
    expect(found[0]?.figures.stealShare).toBeCloseTo(59 / (59 + busySeconds), 5);
  });

  test('unknown to the scheduler makes the answer incomplete', () => {
    const kernel = open();
    const { found, warnings, complete } = triaged(kernel, [stolen(kernel, 20)]);
    expect(found).toEqual([]);
    expect(complete).toBe(false);
    expect(warnings).toMatchObject([
      { message: expect.stringContaining('steal time of CPU 0 is 20.0 s, but rq.prev_steal_time is 0.0 s') },
    ]);
  });

  test('beyond the uptime makes the answer incomplete', () => {
    const kernel = open();
    const { found, warnings } = triaged(kernel, [stolen(kernel, 2 ** 30)]);
    expect(found.map(findingWords)).toEqual([]);
    expect(warnings).toMatchObject([{ message: expect.stringMatching(/^CPU time: CPU 0 was busy for \d+ s/) }]);
  });
});
