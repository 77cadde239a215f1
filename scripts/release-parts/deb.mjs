// Builds Debian packages with dpkg-deb.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import { filesBelow } from './files-below.mjs';

const MAINTAINER = 'The kdump-mem authors <kdump-mem@localhost>';

/**
 * Makes a .deb of a tree.
 *
 * @param {{ root: string, architecture: string, version: string, description: readonly string[], file: string, env: NodeJS.ProcessEnv }} order
 */
export function makeDeb({ root, architecture, version, description, file, env }) {
  const files = filesBelow(root);
  const changes = 'usr/share/doc/kdump-mem/changelog.Debian.gz';
  writeFileSync(join(root, changes), gzipSync(changelog(version, env), { level: 9 }), { mode: 0o644 });
  files.push(join(root, changes));
  const kib = Math.ceil(files.reduce((sum, path) => sum + lstatSync(path).size, 0) / 1024);
  const [short, ...long] = description;
  const control = [
    'Package: kdump-mem',
    `Version: ${version}-1`,
    'Section: admin',
    'Priority: optional',
    `Architecture: ${architecture}`,
    `Maintainer: ${MAINTAINER}`,
    `Installed-Size: ${kib}`,
    // Libraries that the executables of nodejs.org are linked against.
    'Depends: libc6 (>= 2.28), libstdc++6 (>= 8), libgcc-s1',
    'Recommends: iproute2',
    'Suggests: crash, linux-perf, bpftrace',
    `Description: ${short}`,
    ...long.map((line) => ` ${line}`),
    '',
  ].join('\n');
  const sums = files
    .filter((path) => lstatSync(path).isFile())
    .map((path) => `${md5(path)}  ${relative(root, path)}\n`)
    .join('');
  const debian = join(root, 'DEBIAN');
  mkdirSync(debian);
  try {
    writeFileSync(join(debian, 'control'), control, { mode: 0o644 });
    writeFileSync(join(debian, 'md5sums'), sums, { mode: 0o644 });
    const options = ['--root-owner-group', '-Zxz', '--threads-max=2', '--build'];
    execFileSync('dpkg-deb', [...options, root, file], { env, stdio: ['ignore', 'ignore', 'inherit'] });
  } finally {
    rmSync(debian, { recursive: true });
    rmSync(join(root, changes));
  }
}

/** Debian requires a changelog of its own; the changes are in CHANGELOG.md. */
function changelog(version, { SOURCE_DATE_EPOCH: seconds }) {
  const date = new Date(Number(seconds) * 1000).toUTCString().replace('GMT', '+0000');
  return `kdump-mem (${version}-1) unstable; urgency=medium\n\n  * See CHANGELOG.md.gz.\n\n -- ${MAINTAINER}  ${date}\n`;
}

function md5(path) {
  return createHash('md5').update(readFileSync(path)).digest('hex');
}
