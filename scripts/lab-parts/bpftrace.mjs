// bpftrace in a guest, on a disk of its own: with LLVM it is too large for the guest's memory.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { makeDisk } from './disk.mjs';
import { LAB, PARTS } from './paths.mjs';
import { neededBy } from './programs.mjs';

/** Kernels of the lab, and the Debian that each is of. */
const SUITES = /** @type {const} */ ({ 6.1: 'bookworm', 6.12: 'trixie', newest: 'sid' });

/** @typedef {keyof typeof SUITES} BpftraceKernel */

const PROGRAM = 'usr/bin/bpftrace';
const LIBRARIES = 'usr/lib/x86_64-linux-gnu';

/**
 * What a guest needs to run bpftrace; {@link MOUNT} is to be run in it first.
 *
 * @param {BpftraceKernel} kernel
 * @returns {Pick<import('./guest.mjs').GuestOptions, 'disks' | 'modules' | 'files'>}
 */
export function bpftraceInGuest(kernel) {
  return {
    disks: [{ path: diskOf(SUITES[kernel]), readonly: true }],
    modules: ['ext4'],
    files: [
      {
        path: 'bin/bpftrace',
        data: '#!/bin/sh\nexec /bpf/ld.so --library-path /bpf/lib --argv0 bpftrace /bpf/bpftrace "$@"\n',
      },
    ],
  };
}

/** Makes the disk's program be there. */
export const MOUNT = 'mkdir -p /bpf; mount -t ext4 -o ro /dev/vda /bpf';

/** @param {string} suite @returns {string} an image, made once */
function diskOf(suite) {
  execFileSync(join(PARTS, '../lab'), ['bpftrace', suite], { stdio: ['ignore', 2, 2] });
  const root = join(LAB, 'bpftrace', suite);
  const image = `${root}.img`;
  if (existsSync(image)) return image;
  const folder = mkdtempSync(join(tmpdir(), 'kdump-mem-bpftrace-'));
  try {
    mkdirSync(join(folder, 'lib'));
    const copy = (/** @type {string} */ from, /** @type {string} */ to) =>
      cpSync(from, join(folder, to), { dereference: true });
    copy(join(root, 'usr/lib64/ld-linux-x86-64.so.2'), 'ld.so');
    const program = join(root, PROGRAM);
    copy(program, basename(program));
    for (const library of neededBy(program, join(root, LIBRARIES))) copy(library, join('lib', basename(library)));
    const mebibytes = Number(/^\d+/.exec(execFileSync('du', ['-sm', folder], { encoding: 'utf8' }))?.[0]);
    makeDisk(`${image}.${process.pid}`, Math.ceil(mebibytes * 1.2) + 16, folder);
    renameSync(`${image}.${process.pid}`, image);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return image;
}
