import { kindsOf } from './kinds.js';
import { panicsSuite } from './panics-suite.js';

// A separate stack for each: of double faults, NMIs, interrupts. The others run on demand.
panicsSuite('5.10', kindsOf('stack'));
panicsSuite('newest', kindsOf('nmi', 'null-in-interrupt'));
