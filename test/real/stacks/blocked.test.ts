import { expect, test } from 'vitest';
import { blockedTasks } from '../../../src/account/blocked.js';
import { KERNELS, labDump } from '../../support/lab.js';
import { askDump } from '../../support/opened-kernel.js';
import { blockedSuite } from './blocked-suite.js';

// Locks with a pointer to the first waiter; those with the head of a list are in blocked-6.1.test.ts.
blockedSuite('newest');

// ksmd waits for work. On its stack is a wait_queue_entry that looks like a futex_q.
test.each(KERNELS)('no task of an idle machine is blocked: %s', (name) => {
  const { locks, complete } = askDump(labDump(name).elf, (kernel) => blockedTasks(kernel, { all: true }));
  expect({ locks, complete }).toEqual({ locks: [], complete: true });
});
