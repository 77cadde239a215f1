import { KINDS } from '../kinds.js';
import { panicsSuite } from '../panics-suite.js';

panicsSuite('5.10', KINDS, ['drgn', 'crash']);
