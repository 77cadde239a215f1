import { kindsOf } from './kinds.js';
import { panicsSuite } from './panics-suite.js';

// A stack of its own for each: of double faults, of NMIs, of interrupts. The others are made on demand.
panicsSuite('5.10', kindsOf('stack'));
panicsSuite('newest', kindsOf('nmi', 'null-in-interrupt'));
