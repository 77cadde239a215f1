import { LAB_KERNELS } from '../../../support/lab.js';
import { describeKinds } from '../kinds-suite.js';

for (const kernel of LAB_KERNELS) describeKinds(kernel);
