import { liveSuite } from './live-suite.js';

// `scripts/test live` covers 6.1 too, natively and through crash.
liveSuite('newest');
