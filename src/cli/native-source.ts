import type { NativeKernel } from '../kernel/native/kernel.js';
import { aids, openSourceImage, type SourceOptions } from './source.js';

/**
 * Opens the kernel that the options name with the native engine, for commands that ask more of it
 * than walkers do.
 *
 * @throws as openSource does
 */
export async function openNativeSource(options: SourceOptions): Promise<NativeKernel> {
  const [{ openNativeImage }, image] = await Promise.all([
    import('../kernel/native/open.js'),
    openSourceImage(options),
  ]);
  try {
    return openNativeImage(image, aids(options));
  } catch (error) {
    image.close();
    throw error;
  }
}
