import { KERNELS } from '../../support/lab.js';
import { filesSuite } from './files-suite.js';

for (const version of KERNELS) filesSuite(version, version);
