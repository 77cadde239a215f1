import type { TypesVerified } from '../../kernel/symbol-file.js';
import type { Explanations } from './explanation.js';

const FIT = 'Nothing: a file from another kernel is refused.';

/** What shows that types from a file are those of the dump's kernel. */
export const TYPES_VERIFIED_EXPLAINED: Explanations<TypesVerified> = {
  'build-id': {
    means: 'The file and the dump have the same build id.',
    known: 'The file’s GNU build id; BUILD-ID of VMCOREINFO, or the kernel’s own notes.',
    next: FIT,
  },
  banner: {
    means: 'The file and the dump have the same banner: release, compiler and time of the build.',
    known: 'linux_banner of the ISF file and in the kernel’s memory.',
    next: FIT,
  },
  release: {
    means:
      'The banner of the file has the release of the dump. Two builds can have the same release.',
    known: 'linux_banner of the ISF file; OSRELEASE of VMCOREINFO.',
    next: 'Make sure that the file is from exactly this build.',
  },
  layouts: {
    means:
      'The file agrees with all sizes and offsets in VMCOREINFO. Kernels of one series can share all of them.',
    known: 'SIZE() and OFFSET() of VMCOREINFO.',
    next: 'Make sure that the file is from exactly this build.',
  },
  none: {
    means: 'Unverified: the file may be from another kernel, and every answer may be wrong.',
    known: 'Neither a build id nor a banner nor a size of VMCOREINFO could be compared.',
    next: 'Give --types a vmlinux or .debug file with a build id.',
  },
};
