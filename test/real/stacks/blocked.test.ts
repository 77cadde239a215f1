import { expect, test } from 'vitest';
import { blockedTasks } from '../../../src/account/blocked.js';
import { KERNELS, labDump, ofRun } from '../../support/lab.js';
import { askDump } from '../../support/opened-kernel.js';
import { blockedSuite } from './blocked-suite.js';

// Locks of both layouts: with the head of a list, and with a pointer to the first waiter. The
// others run on demand.
for (const kernel of ofRun(['6.1', 'newest'] as const)) blockedSuite(kernel);

// ksmd waits for work. On its stack is a wait_queue_entry that looks like a futex_q.
test.each(KERNELS)('no task of an idle machine is blocked: %s', (name) => {
  const { locks, complete } = askDump(labDump(name).elf, (kernel) => blockedTasks(kernel, { all: true }));
  expect({ locks, complete }).toEqual({ locks: [], complete: true });
});
