import { liveSuite } from './live-suite.js';

// `scripts/test live` has every command, on 6.1 too, natively and through crash.
liveSuite('newest', false);
