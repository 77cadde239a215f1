import { SLOW_TESTS_KERNELS } from '../../support/lab.js';
import { mappingsSuite } from './mappings-suite.js';

for (const version of SLOW_TESTS_KERNELS) mappingsSuite(version);
