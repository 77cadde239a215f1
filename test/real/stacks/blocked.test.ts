import { ALL_KERNELS } from '../../support/lab.js';
import { blockedSuite } from './blocked-suite.js';

// Locks of both forms: with the head of a list, and with a pointer to the first waiter. The others are compared on demand.
if (ALL_KERNELS) blockedSuite('6.1');
blockedSuite('newest');
