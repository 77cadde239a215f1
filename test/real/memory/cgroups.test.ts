import { ALL_KERNELS } from '../../support/lab.js';
import { cgroupsSuite } from './cgroups-suite.js';

// Pages of a removed cgroup stay with it, and since 7.2 go to the one above.
if (ALL_KERNELS) cgroupsSuite('6.1');
cgroupsSuite('newest');
