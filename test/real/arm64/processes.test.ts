import { mappingsSuite } from '../processes/mappings-suite.js';

// Huge pages are 32 MiB: too large for the guest. Sharers of a page in swap are not reported.
mappingsSuite('6.12-arm64-16k', [
  'anonHugeBytes',
  'shmemHugeBytes',
  'fileHugeBytes',
  'privateHugetlbBytes',
  'sharedHugetlbBytes',
  'swapPssBytes',
]);
