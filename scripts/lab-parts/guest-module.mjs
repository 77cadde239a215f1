// Kernel modules of the lab's own, built against the headers of a guest's kernel.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sourceHash } from './guest-program.mjs';
import { kernelFiles, LAB, PARTS } from './paths.mjs';

/**
 * What this machine's compiler lacks of the one that built the kernel: an option, and attributes. Types
 * of the module's own are for nobody.
 */
const OLDER_COMPILER = ['CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT=', 'KCFLAGS=-Wno-attributes'];
const NO_TYPES = 'CONFIG_DEBUG_INFO_BTF_MODULES=';

/**
 * The module of guest-modules/NAME.c as /NAME.ko of a guest, for insmod; built once for each state of its
 * source.
 *
 * @param {string} name
 * @param {string} kernel of the guest: a kernel of the lab for this machine's architecture
 * @returns {import('./initramfs.mjs').GuestFile}
 */
export function guestModule(name, kernel) {
  const { release } = kernelFiles(kernel);
  const source = join(PARTS, 'guest-modules', `${name}.c`);
  const built = join(LAB, 'guest', `${name}-${release}-${sourceHash(source)}.ko`);
  if (!existsSync(built)) {
    execFileSync(join(PARTS, '../lab'), ['headers', kernel], { stdio: ['ignore', 2, 2] });
    const work = join(LAB, 'guest', `.${name}-${process.pid}`);
    mkdirSync(work, { recursive: true });
    try {
      cpSync(source, join(work, `${name}.c`));
      writeFileSync(join(work, 'Kbuild'), `obj-m := ${name}.o\n`);
      const headers = join(LAB, 'headers', kernel, 'usr/src', `linux-headers-${release}`);
      const options = ['CC=gcc', ...OLDER_COMPILER, NO_TYPES, `M=${work}`];
      execFileSync('make', ['-s', '-C', headers, ...options, 'modules'], { stdio: 'pipe' });
      renameSync(join(work, `${name}.ko`), built);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }
  return { path: `${name}.ko`, from: built };
}
