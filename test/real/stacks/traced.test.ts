import { tracedSuite } from './traced-suite.js';

// `scripts/test panics` covers the others.
tracedSuite('newest');
