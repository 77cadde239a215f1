import { ofRun } from '../../support/lab.js';
import { kindsOf } from './kinds.js';
import { panicsSuite } from './panics-suite.js';

// A separate stack for each: of double faults, NMIs, interrupts. The others run on demand.
const KINDS = { '5.10': ['stack'], newest: ['nmi', 'null-in-interrupt'] } as const;
for (const kernel of ofRun(['5.10', 'newest'] as const)) panicsSuite(kernel, kindsOf(...KINDS[kernel]));
