import { ALL_KERNELS } from '../../support/lab.js';
import { pageflagsSuite } from './pageflags-suite.js';

// The oldest and the newest; scripts/test memory covers those between.
if (ALL_KERNELS) pageflagsSuite('5.10');
pageflagsSuite('newest');
