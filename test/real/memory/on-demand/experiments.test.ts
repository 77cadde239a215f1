import { LAB_KERNELS } from '../../../support/lab.js';
import { experimentsSuite } from '../experiments-suite.js';

for (const kernel of LAB_KERNELS) experimentsSuite(kernel);
