import { join } from 'node:path';
import { KERNELS, LAB, ofRun } from '../../support/lab.js';
import { outsideQueuesSuite } from './outside-queues-suite.js';

for (const version of KERNELS)
  for (const dump of [
    version,
    ...ofRun([`${version}-families`]).filter(() => version === '6.1' || version === 'newest'),
  ])
    outsideQueuesSuite(dump, version, () => join(LAB, 'dumps', dump, 'elf.vmcore'));
