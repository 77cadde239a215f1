import { ALL_KERNELS } from '../../support/lab.js';
import { blockedSuite } from './blocked-suite.js';

// Locks of both layouts: with the head of a list, and with a pointer to the first waiter. The
// others run on demand.
if (ALL_KERNELS) blockedSuite('6.1');
blockedSuite('newest');
