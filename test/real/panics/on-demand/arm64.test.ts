import { kindsOf } from '../kinds.js';
import { panicsSuite } from '../panics-suite.js';

// Those that need no module: none can be built here for another architecture.
panicsSuite('6.12-arm64-16k', kindsOf('out-of-memory', 'sysrq'), ['drgn']);
