import { LAB_KERNELS } from '../../support/lab.js';
import { drawersSuite } from './drawers-suite.js';

for (const version of LAB_KERNELS) drawersSuite(version, version);
// Two nodes, a hole between, and memory that was plugged in: a part of it is used.
for (const version of ['6.1', 'newest'] as const) drawersSuite(`${version}-numa`, version);
