import { LAB_KERNELS } from '../../support/lab.js';
import { otherPagesSuite } from './other-pages-suite.js';

for (const version of LAB_KERNELS) otherPagesSuite(version, version);
