import { ofRun } from '../../support/lab.js';
import { cgroupsSuite } from './cgroups-suite.js';

// Pages of a removed cgroup stay with it; since 7.2 they move to its parent.
for (const kernel of ofRun(['6.1', 'newest'] as const)) cgroupsSuite(kernel);
