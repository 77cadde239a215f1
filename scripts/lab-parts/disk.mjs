// Disk images for guests, and what a guest has written on them. Nothing is mounted on this machine.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, statSync } from 'node:fs';

const FLAGS = ['-q', '-t', 'ext4'];

/**
 * Makes an ext4 image.
 *
 * @param {string} image
 * @param {number} mebibytes
 * @param {string} [from] a folder whose files are to be on it
 * @param {boolean} [journal] with a journal
 */
export function makeDisk(image, mebibytes, from, journal = false) {
  const content = from === undefined ? [] : ['-d', from];
  const features = journal ? [] : ['-O', '^has_journal'];
  execFileSync('mke2fs', [...FLAGS, ...features, ...content, image, `${mebibytes}M`], {
    stdio: ['ignore', 'ignore', 2],
  });
}

/**
 * Copies a file of the image's root to this machine.
 *
 * @param {string} image not in use
 * @param {string} file
 * @param {string} to
 * @throws {Error} when it is not there, or there is no room for all of it
 */
export function readFromDisk(image, file, to) {
  // debugfs ends with status 0 whatever happens.
  const debugfs = (/** @type {string} */ request) =>
    execFileSync('debugfs', ['-R', request, image], { stdio: 'pipe', encoding: 'utf8' });
  const size = /\bSize: (\d+)/.exec(debugfs(`stat /${file}`))?.[1];
  if (size === undefined) throw new Error(`${image} has no ${file}`);
  debugfs(`dump /${file} ${to}`);
  const copied = statSync(to).size;
  if (copied !== Number(size)) throw new Error(`${to} has ${copied} bytes of ${size}`);
}

/**
 * Copies a folder with owners, modes and times to this machine, as the next boot finds it.
 *
 * @param {string} image not in use; its journal is replayed
 * @param {string} folder
 * @param {string} into
 */
export function folderFromDisk(image, folder, into) {
  // Status 1: errors were corrected.
  const { status, stdout } = spawnSync('e2fsck', ['-f', '-y', image], { encoding: 'utf8' });
  if (status !== 0 && status !== 1) throw new Error(`${image}: e2fsck ended with status ${status}\n${stdout}`);
  mkdirSync(into, { recursive: true });
  execFileSync('debugfs', ['-R', `rdump ${folder} ${into}`, image], { stdio: 'pipe' });
}
