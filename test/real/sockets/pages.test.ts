import { LAB_KERNELS } from '../../support/lab.js';
import { networkPagesSuite } from './pages-suite.js';

for (const version of LAB_KERNELS) networkPagesSuite(version, version);
