import { KernelError } from '../error.js';
import { ElfFile } from '../native/elf-file.js';
import { openImage } from '../native/image/open.js';
import { mustBeBuild } from '../native/symbols-source.js';
import { Vmcoreinfo } from '../native/vmcoreinfo.js';

/**
 * Why crash would not open these files, from the files themselves; undefined if nothing is wrong
 * with them that we know. crash's own words are for its developers, and sometimes misleading: an
 * old one says "do not match" of a kernel that is only too new for it.
 */
export function diagnoseFiles(vmcore: string, vmlinux: string): KernelError | undefined {
  try {
    const image = openImage([vmcore]);
    try {
      const cut = image.facts.oddities.find((oddity) => oddity.startsWith('truncated'));
      if (cut !== undefined) return new KernelError('truncated', `${vmcore} is ${cut}`);
      const elf = ElfFile.open(vmlinux);
      try {
        if (image.vmcoreinfo !== undefined)
          mustBeBuild(elf, new Vmcoreinfo(image.vmcoreinfo).buildId);
        if (!elf.section('.debug_info')) {
          return new KernelError('vmlinux-needed', `${vmlinux} has no debuginfo`);
        }
      } finally {
        elf.close();
      }
    } finally {
      image.close();
    }
  } catch (error) {
    if (error instanceof KernelError) return error;
    throw error;
  }
  return undefined;
}
