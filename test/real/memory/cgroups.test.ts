import { cgroupsSuite } from './cgroups-suite.js';

// Pages of a removed cgroup stay with it, and since 7.2 go to the one above.
for (const kernel of ['6.1', 'newest'] as const) cgroupsSuite(kernel);
