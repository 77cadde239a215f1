import { stuckSuite } from '../../stacks/stuck-suite.js';

// Two kernels in a file: the heap of one process cannot hold more of these dumps.
stuckSuite('5.10');
// Without a CPU queue, as in virtual machines.
stuckSuite('6.1', false);
