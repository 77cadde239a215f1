import { LAB_KERNELS } from '../../support/lab.js';
import { categoriesSuite } from './categories-suite.js';

for (const version of LAB_KERNELS) categoriesSuite(version, version);
// Two nodes, a hole between, and memory that was plugged in: a part of it is used.
for (const version of ['6.1', 'newest'] as const) categoriesSuite(`${version}-numa`, version);
