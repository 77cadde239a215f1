import { LAB_KERNELS } from '../../support/lab.js';
import { filesSuite } from './files-suite.js';

for (const version of LAB_KERNELS) filesSuite(version, version);
