import { KERNELS } from '../../support/lab.js';
import { mappingsSuite } from './mappings-suite.js';

for (const version of KERNELS) mappingsSuite(version);
