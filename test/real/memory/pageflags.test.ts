import { ALL_KERNELS } from '../../support/lab.js';
import { pageflagsSuite } from './pageflags-suite.js';

// The oldest and the newest; those between are looked at by scripts/test memory.
if (ALL_KERNELS) pageflagsSuite('5.10');
pageflagsSuite('newest');
