import { KernelError } from '../../../base/errors.js';
import type { MemoryImage } from '../image/image.js';
import type { Vmcoreinfo } from '../vmcoreinfo.js';
import type { Architecture } from './arch.js';
import { Arm64 } from './arm64.js';
import { X86_64 } from './x86_64.js';

/**
 * Returns the architecture of a dump from its headers or, if they name no machine (some of QEMU's),
 * from VMCOREINFO numbers that only one architecture exports.
 *
 * @throws {KernelError} `unsupported-arch`, or the architecture's own error about VMCOREINFO
 */
export function architectureOf(image: MemoryImage, info: Vmcoreinfo): Architecture {
  const { machine, files } = image.facts;
  const has = (name: string): boolean => machine === undefined && info.number(name) !== undefined;
  if (machine === 'x86_64' || has('phys_base')) return new X86_64(image, info);
  if (machine === 'aarch64' || has('kimage_voffset')) return new Arm64(image, info);
  const description = machine === undefined ? 'not named by its headers or VMCOREINFO' : machine;
  throw new KernelError(
    'unsupported-arch',
    `${files.join(', ')}: unsupported architecture (${description})`,
  );
}
