import { cgroupsSuite } from '../cgroups-suite.js';

for (const kernel of ['5.10', '6.12'] as const) cgroupsSuite(kernel);
