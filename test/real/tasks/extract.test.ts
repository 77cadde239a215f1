import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { extract } from '../../../src/extract/extract.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { taskTable } from '../../../src/walk/tasks/task-table.js';
import { memoryOf } from '../../support/damaged-kernel.js';
import { labDump, ofRun } from '../../support/lab.js';

const folder = mkdtempSync(join(tmpdir(), 'tasks-extract-'));
afterAll(() => rmSync(folder, { recursive: true }));

const extracts = await Promise.all(
  ofRun(['6.1', '6.12'] as const).map(async (version) => {
    const output = join(folder, version);
    const kernel = openNative({ files: [labDump(version).elf] });
    await extract(kernel, { output, compression: 'zlib' });
    const whole = taskTable(kernel);
    kernel.close();
    return [version, openNative({ files: [output] }), whole] as const;
  }),
);

describe.each(extracts)('an extract of %s', (_, kernel, whole) => {
  afterAll(() => kernel.close());
  const { set, damagedBy } = memoryOf(kernel);
  const task = whole.processes.findLast(({ kernelThread }) => !kernelThread)!;
  const other = whole.processes[0]!;
  const faults = (path: string, value: bigint) => {
    const table = taskTable(damagedBy(set(task.address, `task_struct.${path}`, value)));
    return table.faults.map(({ message }) => message).join('\n');
  };

  test('has every task, and no fault', () => {
    const table = taskTable(kernel);
    expect([table.faults, table.lost]).toEqual([[], undefined]);
    expect(table.processes).toEqual(whole.processes);
  });

  test.each([
    ['flags', 0x20_0000n, 'make pid'],
    ['mm', 0n, 'but it is not exiting'],
    ['active_mm', 0n, 'but its active_mm is 0x0'],
    ['files', other.files, 'files_struct.count'],
    ['pid', 1n, 'but its struct pid has number'],
    ['thread_pid', 0n, 'has its struct pid at'],
  ])('reports a task_struct.%s that other facts contradict', (path, value, said) => {
    expect(faults(path, value)).toContain(said);
  });
});
