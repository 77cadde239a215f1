import { KINDS } from '../kinds.js';
import { panicsSuite } from '../panics-suite.js';

// Debian's crash does not open it.
panicsSuite('newest', KINDS, ['drgn']);
