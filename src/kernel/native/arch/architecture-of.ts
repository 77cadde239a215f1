import { KernelError } from '../../../base/errors/kernel.js';
import type { MemoryImage } from '../image/image.js';
import type { Vmcoreinfo } from '../vmcoreinfo.js';
import type { Architecture } from './arch.js';
import { Arm64 } from './arm64.js';
import { X86_64 } from './x86_64.js';

/**
 * The architecture that a dump is of: as its headers say or, where they name no machine (some of
 * QEMU's), as VMCOREINFO shows by a number that only this architecture writes.
 *
 * @throws {KernelError} `unsupported-arch`, or what the architecture itself says of VMCOREINFO
 */
export function architectureOf(image: MemoryImage, info: Vmcoreinfo): Architecture {
  const { machine, files } = image.facts;
  const has = (name: string): boolean => machine === undefined && info.number(name) !== undefined;
  if (machine === 'x86_64' || has('phys_base')) return new X86_64(image, info);
  if (machine === 'aarch64' || has('kimage_voffset')) return new Arm64(image, info);
  const what = machine === undefined ? 'not named by its headers or VMCOREINFO' : machine;
  throw new KernelError(
    'unsupported-arch',
    `${files.join(', ')}: unsupported architecture (${what})`,
  );
}
