import { KERNELS } from '../../support/lab.js';
import { otherPagesSuite } from './other-pages-suite.js';

for (const version of KERNELS) otherPagesSuite(version, version);
