import { ALL_KERNELS } from '../../support/lab.js';
import { cgroupsSuite } from './cgroups-suite.js';

// Pages of a removed cgroup stay with it; since 7.2 they move to its parent.
if (ALL_KERNELS) cgroupsSuite('6.1');
cgroupsSuite('newest');
