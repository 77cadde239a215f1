// An initramfs is a cpio archive of the "newc" kind (Documentation/driver-api/early-userspace).

/**
 * @typedef {object} Entry
 * @property {string} path from the root, without a leading slash
 * @property {number} mode type and permission bits, as in stat(2)
 * @property {Uint8Array} [data] a file's bytes, or a symbolic link's target
 */

const DIRECTORY = 0o040755;

/**
 * @param {Entry[]} entries
 * @returns {Buffer} the archive, with the folders that the paths need
 */
export function cpio(entries) {
  const parts = [];
  const folders = new Set();
  let inode = 1;
  for (const entry of entries) {
    const names = entry.path.split('/');
    for (let i = 1; i < names.length; i++) {
      const folder = names.slice(0, i).join('/');
      if (folders.has(folder)) continue;
      folders.add(folder);
      parts.push(record(inode++, { path: folder, mode: DIRECTORY }));
    }
    parts.push(record(inode++, entry));
  }
  parts.push(record(0, { path: 'TRAILER!!!', mode: 0 }));
  return Buffer.concat(parts);
}

/** @param {number} inode @param {Entry} entry */
function record(inode, { path, mode, data = new Uint8Array() }) {
  const name = Buffer.from(`${path}\0`);
  const fields = [inode, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, name.length, 0];
  const header = `070701${fields.map((n) => n.toString(16).padStart(8, '0')).join('')}`;
  const head = Buffer.concat([Buffer.from(header), name]);
  return Buffer.concat([head, padding(head.length), data, padding(data.length)]);
}

/** @param {number} length */
function padding(length) {
  return Buffer.alloc(-length & 3);
}
