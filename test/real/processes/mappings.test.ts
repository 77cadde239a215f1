import { LAB_KERNELS } from '../../support/lab.js';
import { mappingsSuite } from './mappings-suite.js';

for (const version of LAB_KERNELS) mappingsSuite(version);
