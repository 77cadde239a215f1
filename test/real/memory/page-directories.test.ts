import { expect, test } from 'vitest';
import { accountMemory } from '../../../src/account/memory/memory.js';
import { scanFrames } from '../../../src/walk/memory/frame-scan.js';
import { FrameMap } from '../../../src/walk/memory/page-array.js';
import { KIND } from '../../../src/walk/memory/page-kinds.js';
import { ramRanges } from '../../../src/walk/memory/ram.js';
import { cpuLists } from '../../../src/walk/memory/zones.js';
import { TaskReader } from '../../../src/walk/tasks/tasks.js';
import { dumpKernel } from '../../support/opened-kernel.js';

const { kernel, read, set, damagedBy } = dumpKernel('6.1');

test('a free page after the top page table of a process is not its second half', () => {
  const frames = new FrameMap(ramRanges(kernel));
  const { kinds } = scanFrames(kernel, frames);
  // For any kind of used frame before it: the kinds depend on the dump.
  const unused: unknown[] = [KIND.free, KIND.unreferenced, KIND.reserved, undefined];
  const inUse = (frame: number) => !unused.includes(kinds[frames.indexOf(frame)]);
  const listed = [...cpuLists(kernel)].find(({ frame, order }) => order === 0 && frame % 2 === 1 && inUse(frame - 1));
  const process = [...new TaskReader(kernel).processes()].find((one) => !one.kernelThread);
  if (!listed || !process) throw new Error('no CPU lists a page behind one that is in use');
  const moved = kernel.pages.addressOfFrame(listed.frame - 1) ?? 0n;
  const answer = accountMemory(damagedBy(set(read(process.address, 'task_struct.mm'), 'mm_struct.pgd', moved)));
  expect(answer.warnings.map(({ message }) => message)).not.toContain('page-tables: 1 of its pages are marked free');
});
