import { experimentsSuite } from './experiments-suite.js';

// Walked categories only; `scripts/test memory` runs all of them, on all kernels.
experimentsSuite('newest', [
  'stacks of threads',
  'page tables',
  'pipes',
  'an array of BPF',
  'a ring buffer of BPF',
  'per-CPU memory',
  'a ring of AF_PACKET',
  'unread data of a TCP socket',
  'rings of perf',
  'rings of io_uring',
  'pages that a module took (alloc_pages)',
  'secret memory',
  'buffers of a dma-buf heap',
]);
