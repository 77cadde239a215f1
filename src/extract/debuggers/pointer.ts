import type { NativeKernel } from '../../kernel/native/parts.js';

/** The pointer that lies at an address. @throws {ReadError} */
export function pointerAt(kernel: NativeKernel, address: bigint): bigint {
  return kernel.read(address, 8).getBigUint64(0, true);
}
