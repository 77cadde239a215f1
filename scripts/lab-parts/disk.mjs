// Disk images for guests, and what a guest has written on them. Nothing is mounted on this machine.
import { execFileSync } from 'node:child_process';

const FLAGS = ['-q', '-t', 'ext4', '-O', '^has_journal'];

/**
 * Makes an ext4 image.
 *
 * @param {string} image
 * @param {number} mebibytes
 * @param {string} [from] a folder whose files are to be on it
 */
export function makeDisk(image, mebibytes, from) {
  const content = from === undefined ? [] : ['-d', from];
  execFileSync('mke2fs', [...FLAGS, ...content, image, `${mebibytes}M`], {
    stdio: ['ignore', 'ignore', 2],
  });
}

/**
 * Copies a file of the image's root to this machine.
 *
 * @param {string} image not in use
 * @param {string} file
 * @param {string} to
 */
export function readFromDisk(image, file, to) {
  execFileSync('debugfs', ['-R', `dump /${file} ${to}`, image], { stdio: 'ignore' });
}
