import { tracedSuite } from './traced-suite.js';

// `scripts/test panics` asks the others.
tracedSuite('newest');
