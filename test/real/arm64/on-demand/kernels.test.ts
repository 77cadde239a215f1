import type { LabArm64DumpName } from '../../../support/lab.js';
import { arm64Suite } from '../suite.js';

// The guests of scripts/test arm64 besides the one that every run boots.
const DUMPS: readonly LabArm64DumpName[] = [
  '6.12-arm64',
  '6.12-arm64-max',
  '6.1-arm64',
  'newest-arm64',
  'newest-arm64-max',
];

for (const dump of DUMPS) arm64Suite(dump);
