// memleak of libbpf-tools in a guest.
import { execFileSync } from 'node:child_process';
import { basename, join } from 'node:path';
import { LAB, PARTS } from './paths.mjs';
import { neededBy } from './programs.mjs';

const PROGRAM = 'usr/sbin/memleak-libbpf';
const LIBRARIES = 'usr/lib/x86_64-linux-gnu';

/** @returns {import('./initramfs.mjs').GuestFile[]} with the program as /bin/memleak-libbpf */
export function memleakInGuest() {
  execFileSync(join(PARTS, '../lab'), ['memleak'], { stdio: ['ignore', 2, 2] });
  const root = join(LAB, 'memleak');
  const program = join(root, PROGRAM);
  const name = basename(program);
  return [
    { path: '/memleak/ld.so', from: join(root, 'usr/lib64/ld-linux-x86-64.so.2') },
    ...neededBy(program, join(root, LIBRARIES)).map((from) => ({ path: `/memleak/lib/${basename(from)}`, from })),
    { path: `/memleak/${name}`, from: program },
    {
      path: `bin/${name}`,
      data: `#!/bin/sh\nexec /memleak/ld.so --library-path /memleak/lib --argv0 ${name} /memleak/${name} "$@"\n`,
    },
  ];
}
