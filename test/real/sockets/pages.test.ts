import { KERNELS } from '../../support/lab.js';
import { networkPagesSuite } from './pages-suite.js';

for (const version of KERNELS) networkPagesSuite(version, version);
