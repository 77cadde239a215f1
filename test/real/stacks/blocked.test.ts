import { ofRun } from '../../support/lab.js';
import { blockedSuite } from './blocked-suite.js';

// Locks of both layouts: with the head of a list, and with a pointer to the first waiter. The
// others run on demand.
for (const kernel of ofRun(['6.1', 'newest'] as const)) blockedSuite(kernel);
