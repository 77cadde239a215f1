import { blockedSuite } from './blocked-suite.js';

// Locks of both forms: with the head of a list, and with a pointer to the first waiter. The others are compared on demand.
blockedSuite('6.1');
blockedSuite('newest');
