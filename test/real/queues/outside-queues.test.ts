import { join } from 'node:path';
import { ALL_KERNELS, LAB } from '../../support/lab.js';
import { outsideQueuesSuite } from './outside-queues-suite.js';

const DUMPS = [
  ...(ALL_KERNELS
    ? ([
        ['5.10', '5.10'],
        ['6.12', '6.12'],
      ] as const)
    : []),
  ['6.1', '6.1'],
  ['newest', 'newest'],
  ['6.1-families', '6.1'],
  ['newest-families', 'newest'],
] as const;

for (const [dump, version] of DUMPS) {
  outsideQueuesSuite(dump, version, () => join(LAB, 'dumps', dump, 'elf.vmcore'));
}
