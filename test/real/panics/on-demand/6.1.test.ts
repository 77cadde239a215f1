import { KINDS } from '../kinds.js';
import { panicsSuite } from '../panics-suite.js';

panicsSuite('6.1', KINDS, ['drgn', 'crash']);
