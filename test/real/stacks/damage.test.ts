import { afterAll, describe, expect, test } from 'vitest';
import { groupedStacks } from '../../../src/account/task-stacks.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { damagedKernel } from '../../support/damaged-kernel.js';
import { labDump } from '../../support/lab.js';
import { littleEndian } from '../../support/little-endian.js';

/** Values that each byte is changed to. */
const CHANGES = 5;

describe.each(['6.1', 'newest', '6.12-arm64-16k'] as const)('%s: one wrong byte', (name) => {
  const kernel = openNative({ files: [labDump(name).elf] });
  afterAll(() => kernel.close());
  const offset = (struct: string, path: string): bigint =>
    BigInt(kernel.struct(struct)?.member(path)?.offset ?? Number.NaN);
  // A thread whose stack most others share, but not init.
  const { pid } = groupedStacks(kernel, {})
    .groups.flatMap(({ tasks, frames }) => (frames.length > 6 ? tasks : []))
    .find((one) => one.pid > 1)!;
  const sound = groupedStacks(kernel, { pid });
  const [group] = sound.groups;
  const frames = group!.frames.map(({ address }) => address);
  // The link in the task list that leads to it.
  const task = (() => {
    const head = (kernel.symbol('init_task') ?? 0n) + offset('task_struct', 'tasks');
    for (let node = head; ; ) {
      node = kernel.read(node, 8).getBigUint64(0, true);
      const found = node - offset('task_struct', 'tasks');
      if (kernel.read(found + offset('task_struct', 'pid'), 4).getUint32(0, true) === pid) return found;
    }
  })();
  const stack = kernel.read(task + offset('task_struct', 'stack'), 8).getBigUint64(0, true);
  const places = (word: bigint): bigint[] =>
    Array.from({ length: 2048 }, (_, index) => stack + BigInt(index * 8)).filter(
      (at) => kernel.read(at, 8).getBigUint64(0, true) === word,
    );

  /**
   * Result of changing one byte: reported or unchanged (empty), or the wrong frames that are
   * reported as complete.
   */
  function silent(address: bigint): string[] {
    const byte = kernel.read(address, 1).getUint8(0);
    return [byte ^ 1, byte ^ 0x80, (byte + 5) & 255, 0, 255].flatMap((value) => {
      const patches = [{ address, bytes: littleEndian(BigInt(value), 1) }];
      const damaged = damagedKernel(kernel, { patches, denials: [] });
      const answer = groupedStacks(damaged, { pid });
      const after = answer.groups[0]?.frames;
      const guess = after?.some((frame) => frame.guess) ?? false;
      const names = after?.map((frame) => frame.symbol?.name).join(' ');
      const same = names === group!.frames.map((frame) => frame.symbol?.name).join(' ');
      return same || guess || !answer.complete ? [] : [`${address} ${value}: ${names}`];
    });
  }

  test('in a return address is reported, or still gives the same function', () => {
    expect(sound.complete).toBe(true);
    expect(frames.length).toBeGreaterThan(4);
    let changes = 0;
    const unseen: string[] = [];
    for (const frame of frames.slice(1))
      for (const at of places(frame))
        for (let byte = 0n; byte < 8n; byte++) {
          changes += CHANGES;
          unseen.push(...silent(at + byte));
        }
    expect(changes).toBeGreaterThan(150);
    // An address that follows another call by chance is undetectable: about one in eight for the
    // lowest two bytes.
    expect(unseen.length, unseen.join('\n')).toBeLessThan(changes / 20);
  });

  test('in its pid is reported', () => {
    for (let byte = 0n; byte < 4n; byte++) {
      const address = task + offset('task_struct', 'pid') + byte;
      const old = kernel.read(address, 1).getUint8(0);
      const patches = [{ address, bytes: littleEndian(BigInt(old ^ 1), 1) }];
      expect(groupedStacks(damagedKernel(kernel, { patches, denials: [] }), {}).complete).toBe(false);
    }
  });

  test('in its saved stack pointer is reported: that of another task', () => {
    const member = name === '6.12-arm64-16k' ? 'thread.cpu_context.fp' : 'thread.sp';
    const word = (at: bigint) => kernel.read(at, 8).getBigUint64(0, true);
    // The first of the list is init, which is not the task above.
    const link = offset('task_struct', 'tasks');
    const other = word((kernel.symbol('init_task') ?? 0n) + link) - link;
    expect(other).not.toBe(task);
    const its = word(other + offset('task_struct', member));
    const patches = [{ address: task + offset('task_struct', member), bytes: littleEndian(its, 8) }];
    const answer = groupedStacks(damagedKernel(kernel, { patches, denials: [] }), { pid });
    expect(answer.complete).toBe(false);
  });

  test('in each pointer to its stack is reported', () => {
    const patches = [{ address: task + offset('task_struct', 'stack'), bytes: littleEndian(0n, 8) }];
    const answer = groupedStacks(damagedKernel(kernel, { patches, denials: [] }), { pid });
    expect(answer.complete).toBe(false);
  });

  test('in the start of its stack, or in its saved stack pointer, is reported', () => {
    const members = name === '6.12-arm64-16k' ? ['stack', 'thread.cpu_context.fp'] : ['stack', 'thread.sp'];
    for (const member of members)
      for (let byte = 0n; byte < 8n; byte++) expect(silent(task + offset('task_struct', member) + byte)).toEqual([]);
  });
});
