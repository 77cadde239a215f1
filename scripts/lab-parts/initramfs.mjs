// What a guest boots with: busybox, our init, kernel modules, and whatever else is wanted.
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { cpio } from './cpio.mjs';
import { modulesInOrder } from './modules.mjs';
import { LAB, need, PARTS } from './paths.mjs';

/**
 * @typedef {object} GuestFile
 * @property {string} path in the guest
 * @property {string} [from] a file of this machine
 * @property {Uint8Array | string} [data] or its bytes
 * @property {number} [mode] as in stat(2); executable unless told
 */

const MODULES = ['virtio_pci', 'virtio_net', 'virtio_console', 'virtio_blk', 'qemu_fw_cfg'];

/**
 * @param {string} moduleFolder a kernel's modules
 * @param {{ files?: GuestFile[], modules?: string[], busybox?: string | undefined }} more of files
 *   with one path the first is taken; busybox: the lab's own unless told
 * @returns {Buffer}
 */
export function initramfs(moduleFolder, { files = [], modules = [], busybox }) {
  const shell = busybox ?? need(join(LAB, 'tools/usr/bin/busybox'), 'scripts/lab tools');
  const paths = files.map(({ path }) => path);
  const ordered = modulesInOrder(moduleFolder, [...MODULES, ...modules]);
  return cpio([
    { path: 'init', mode: 0o100755, data: readFileSync(join(PARTS, 'guest/init')) },
    { path: 'bin/busybox', mode: 0o100755, data: readFileSync(shell) },
    { path: 'modules/order', mode: 0o100644, data: Buffer.from(ordered.map(({ name }) => `${name}.ko\n`).join('')) },
    ...ordered.map(({ name, data }) => ({ path: `modules/${name}.ko`, mode: 0o100644, data })),
    ...files
      .filter(({ path }, index) => paths.indexOf(path) === index)
      .map(({ path, from, data, mode }) => ({
        path: path.replace(/^\/+/, ''),
        mode: mode ?? (from === undefined ? 0o100755 : statSync(from).mode),
        data: from === undefined ? Buffer.from(data ?? '') : readFileSync(from),
      })),
  ]);
}
