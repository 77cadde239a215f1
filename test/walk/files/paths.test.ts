import { expect, test } from 'vitest';
import { nameHashes } from '../../../src/walk/files/paths.js';

// Directories, names and their hashes, read from the memory of a 6.1 kernel.
test.each([
  [0xffff_89d8_01e6_be40n, 'w', 1_102_923_640],
  [0xffff_89d8_01ee_7cc0n, 'enable', 309_623],
  [0xffff_89d8_0247_7540n, 'hash-ptr', 52_405_438],
  [0xffff_89d8_01f6_c000n, 'write_msr', 49_789_112],
  [0xffff_89d8_0174_9480n, 'kmem_cache_alloc', 16_342_772],
  [0xffff_89d8_01df_f240n, 'ext4_ext_convert_to_initialized_fastpath', 1_825_781_811],
])('hashes a name by words: %x/%s', (parent, name, hash) => {
  expect(nameHashes(parent, Buffer.from(name))[0]).toBe(hash);
  expect(nameHashes(parent + 192n, Buffer.from(name))).not.toContain(hash);
});

// Computed by a C program with 64-bit arithmetic.
test.each([
  ['busybox', 2_520_290_258],
  ['scenario.table', 3_845_157_515],
  ['a-name-of-more-than-sixteen-bytes', 3_468_754_934],
])('hashes a name by bytes, for kernels without word access: %s', (name, hash) => {
  expect(nameHashes(0xffff_89d8_0247_e180n, Buffer.from(name))[1]).toBe(hash);
});
