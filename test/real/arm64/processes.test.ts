import { mappingsSuite } from '../processes/mappings-suite.js';

// Huge pages have 32 MiB there: the guest has no room for them. Who else has a page in swap is not told.
mappingsSuite('6.12-arm64-16k', [
  ...(['anonymousHuge', 'shmemHuge', 'fileHuge'] as const),
  ...(['privateHugetlb', 'sharedHugetlb', 'swapPss'] as const),
]);
