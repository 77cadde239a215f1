import { expect, test } from 'vitest';
import { PidNumberReader } from '../../../src/walk/processes/process-facts.js';
import { made, madeKernel } from '../../support/made-kernel.js';

test.each(['thread_pid', 'pids[0].pid'])('reads the pids of a process in its namespaces by %s', (link) => {
  const kernel = madeKernel({
    structs: {
      task_struct: { size: 64, members: { [link]: 16 } },
      pid: { size: 64, members: { level: [4, 4], numbers: 48 } },
      upid: { size: 32, members: { nr: [0, 4], ns: 8 } },
      pid_namespace: { size: 128, members: { 'ns.inum': [8, 4], level: [16, 4] } },
    },
    words: {
      16: made(0x100),
      [0x104]: [1, 4],
      [0x130]: [77, 4],
      [0x138]: made(0x200),
      [0x150]: [1, 4],
      [0x158]: made(0x300),
      [0x208]: [100, 4],
      [0x308]: [200, 4],
      [0x310]: [1, 4],
    },
  });
  const task = { address: made(0), pid: 77, comm: 'x', files: 0n, signal: 0n, kernelThread: false };
  expect(new PidNumberReader(kernel).read(task)).toEqual([
    { namespace: 100, pid: 77 },
    { namespace: 200, pid: 1 },
  ]);
});
