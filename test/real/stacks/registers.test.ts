import { describe, expect, test } from 'vitest';
import { groupedStacks } from '../../../src/account/task-stacks.js';
import type { StacksAnswer } from '../../../src/contracts/task-stacks.js';
import { kernelWith, memoryOf } from '../../support/damaged-kernel.js';
import { labDump, labKdump, ofRun } from '../../support/lab.js';
import { askDump } from '../../support/opened-kernel.js';

/** Tasks that ran: the CPU, the source of the registers, and the stack. */
function running({ stacks }: StacksAnswer): string[] {
  return stacks
    .flatMap(({ tasks, frames, end }) =>
      tasks
        .filter(({ cpu }) => cpu !== null)
        .map(({ pid, cpu, registers }) => {
          const places = frames.map(({ address }) => address.toString(16));
          return `CPU ${cpu} pid ${pid} ${registers}: ${places.join(' ')} ${end}`;
        }),
    )
    .toSorted();
}

test.each(ofRun(['5.10', 'newest', '6.12-arm64-16k'] as const))(
  '%s: QEMU stores the same registers in both of its formats',
  (name) => {
    const { elf, kdumpZlib } = labDump(name);
    const of = (file: string) => askDump(file, (kernel) => groupedStacks(kernel, {}));
    const answer = of(elf);
    const found = running(answer);
    expect(found).toHaveLength(2);
    // For a CPU that was stopped during a task switch only this is known.
    const torn = answer.warnings.some(({ code }) => code === 'torn-list');
    for (const one of found) if (!torn) expect(one).toMatch(/ qemu: (ffff[0-9a-f]+ )+(user|first)$| qemu: {2}user$/);
    expect(running(of(kdumpZlib))).toEqual(found);
  },
);

describe('after a panic', () => {
  const { formats } = labKdump('6.1');
  const sound = askDump(formats['lzo-d31'], (kernel) => running(groupedStacks(kernel, {})));

  test.each(['zstd-d31', 'flattened-d31', 'elf-d31', 'split-d31', 'elf'] as const)(
    'the registers of each CPU are in its own memory: %s',
    (format) => {
      expect(sound.filter((one) => one.includes(' crash_notes: '))).toHaveLength(2);
      expect(askDump(formats[format], (kernel) => running(groupedStacks(kernel, {})))).toEqual(sound);
    },
  );

  test.each(['lzo-d31', 'elf'] as const)('the notes of the dump have the same registers: %s', (format) => {
    askDump(formats[format], (kernel) => {
      const { lose, damagedBy } = memoryOf(kernel);
      const answer = groupedStacks(damagedBy(lose('crash_notes', 8)), {});
      expect(running(answer)).toEqual(sound.map((one) => one.replace('crash_notes', 'note')));
      expect(answer.complete).toBe(true);
    });
  });

  test('without either, stacks of running tasks are unknown, and that is reported', () => {
    askDump(formats.elf, (kernel) => {
      const { lose, damagedBy } = memoryOf(kernel);
      const without = kernelWith(damagedBy(lose('crash_notes', 8)), { cpuNotes: { by: 'kernel', notes: [] } });
      const { warnings, complete } = groupedStacks(without, {});
      expect(complete).toBe(false);
      expect(warnings.map(({ message }) => message).join('\n')).toContain('the registers of its CPU were not saved');
    });
  });

  test('registers saved for another task contradict the running task', () => {
    askDump(formats.elf, (kernel) => {
      const { read, set, damagedBy } = memoryOf(kernel);
      const note = BigInt.asUintN(64, read('crash_notes') + read('__per_cpu_offset'));
      // pr_pid, behind the note's header and its name.
      const { warnings } = groupedStacks(damagedBy(set(note + 20n + 32n, 4, 4321n)), {});
      expect(warnings.map(({ message }) => message).join('\n')).toContain('those of pid 4321');
    });
  });
});
