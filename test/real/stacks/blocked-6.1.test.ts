import { blockedSuite } from './blocked-suite.js';

// Locks with the head of a list of waiters.
blockedSuite('6.1');
