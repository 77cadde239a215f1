import { describe, expect, test } from 'vitest';
import { groupedStacks } from '../../../src/account/task-stacks.js';
import { perCpuAddress } from '../../../src/walk/cpus.js';
import { dumpKernel } from '../../support/opened-kernel.js';

/** Values that each byte is changed to. */
const CHANGES = 5;

describe.each(['6.1', 'newest', '6.12-arm64-16k'] as const)('%s: one wrong byte', (name) => {
  const { kernel, addressOf, offset, read, set, swap, damagedBy } = dumpKernel(name);
  // A thread whose stack most others share, but not init.
  const { pid } = groupedStacks(kernel, {})
    .stacks.flatMap(({ tasks, frames }) => (frames.length > 6 ? tasks : []))
    .find((one) => one.pid > 1)!;
  const sound = groupedStacks(kernel, { pid });
  const [group] = sound.stacks;
  const frames = group!.frames.map(({ address }) => address);
  // The link in the task list that leads to it.
  const task = (() => {
    const head = addressOf('init_task', 'task_struct.tasks');
    for (let node = head; ; ) {
      node = read(node);
      const found = node - offset('task_struct.tasks');
      if (read(found, 'task_struct.pid') === BigInt(pid)) return found;
    }
  })();
  const stack = read(task, 'task_struct.stack');
  const places = (word: bigint): bigint[] =>
    Array.from({ length: 2048 }, (_, index) => stack + BigInt(index * 8)).filter((at) => read(at) === word);

  /**
   * Result of changing one byte: reported or unchanged (empty), or the wrong frames that are
   * reported as complete.
   */
  function silent(address: bigint): string[] {
    const byte = kernel.read(address, 1).getUint8(0);
    return [byte ^ 1, byte ^ 0x80, (byte + 5) & 255, 0, 255].flatMap((value) => {
      const damaged = damagedBy(set(address, 1, value));
      const answer = groupedStacks(damaged, { pid });
      const after = answer.stacks[0]?.frames;
      const guess = after?.some((frame) => frame.guess) ?? false;
      const names = after?.map((frame) => frame.symbol).join(' ');
      const same = names === group!.frames.map((frame) => frame.symbol).join(' ');
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
      const address = addressOf(task, 'task_struct.pid') + byte;
      const old = kernel.read(address, 1).getUint8(0);
      expect(groupedStacks(damagedBy(set(address, 1, old ^ 1)), {}).complete).toBe(false);
    }
  });

  test.each(['curr', 'idle'] as const)('two run queues with each other’s `%s` are reported', (member) => {
    const [one, other] = [0, 1].map((cpu) => perCpuAddress(kernel, kernel.symbol('runqueues')!, cpu));
    const swapped = damagedBy(swap(one!, `rq.${member}`, other!));
    const { warnings } = groupedStacks(swapped, {});
    expect(warnings.map(({ message }) => message)).toContainEqual(
      expect.stringMatching(/^CPU 0 runs pid \d+, but this/),
    );
  });

  test('in its saved stack pointer is reported: that of another task', () => {
    const member = name === '6.12-arm64-16k' ? 'thread.cpu_context.fp' : 'thread.sp';
    // The first of the list is init, which is not the task above.
    const link = offset('task_struct.tasks');
    const other = read('init_task', 'task_struct.tasks') - link;
    expect(other).not.toBe(task);
    const its = read(other, `task_struct.${member}`);
    const answer = groupedStacks(damagedBy(set(task, `task_struct.${member}`, its)), { pid });
    expect(answer.complete).toBe(false);
  });

  test('in each pointer to its stack is reported', () => {
    const answer = groupedStacks(damagedBy(set(task, 'task_struct.stack', 0n)), { pid });
    expect(answer.complete).toBe(false);
  });

  test('in the start of its stack, or in its saved stack pointer, is reported', () => {
    const members = name === '6.12-arm64-16k' ? ['stack', 'thread.cpu_context.fp'] : ['stack', 'thread.sp'];
    for (const member of members)
      for (let byte = 0n; byte < 8n; byte++)
        expect(silent(addressOf(task, `task_struct.${member}`) + byte)).toEqual([]);
  });
});
