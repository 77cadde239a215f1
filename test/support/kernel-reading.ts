import type { Kernel } from '../../src/kernel/kernel.js';

/** A kernel with a replaced read function, which every read uses. */
export function kernelReading<K extends Kernel>(kernel: K, read: (address: bigint, length: number) => DataView): K {
  return new Proxy(kernel, {
    get(target, name) {
      if (name === 'read') return read;
      if (name === 'fast') return undefined;
      // Members of a class with private fields must run on the original object.
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
