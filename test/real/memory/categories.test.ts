import { KERNELS, ofRun } from '../../support/lab.js';
import { categoriesSuite } from './categories-suite.js';

for (const version of KERNELS) categoriesSuite(version, version);
// Two nodes, a hole between them, and partly used hotplugged memory.
for (const version of ['6.1', 'newest'] as const)
  for (const dump of ofRun([`${version}-numa`])) categoriesSuite(dump, version);
