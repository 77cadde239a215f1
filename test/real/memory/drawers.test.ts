import { LAB_KERNELS } from '../../support/lab.js';
import { drawersSuite } from './drawers-suite.js';

for (const version of LAB_KERNELS) drawersSuite(version, version);
