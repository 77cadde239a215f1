import { LAB_KERNELS } from '../../../support/lab.js';
import { describeLeaks } from '../leaks-suite.js';

for (const kernel of LAB_KERNELS) describeLeaks(kernel, { oneIn: 8, seconds: 60 });
