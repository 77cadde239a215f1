// Builds RPM packages with rpmbuild.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { filesBelow, foldersBelow } from './files-below.mjs';

const MACHINE = { amd64: 'x86_64', arm64: 'aarch64' };

/** Folders that belong to the package: its own, and those of shells that may not be installed. */
const OURS =
  /^usr\/share\/(?:doc\/kdump-mem(?:\/|$)|(?:bash-completion|fish|zsh)(?:\/|$))|^usr\/(?:lib\/systemd|libexec\/kdump-mem)(?:\/|$)/;

const asThere = (path) => path.replace('/zsh/vendor-completions', '/zsh/site-functions');

/** File name of an .rpm. */
export function rpmName(version, architecture) {
  return `kdump-mem-${version}-1.${MACHINE[architecture]}.rpm`;
}

/**
 * Makes an .rpm of a tree.
 *
 * @param {{ root: string, architecture: string, version: string, description: readonly string[], file: string, env: NodeJS.ProcessEnv }} order
 */
export function makeRpm({ root, architecture, version, description, file, env }) {
  const work = mkdtempSync(join(tmpdir(), 'kdump-mem-rpm-'));
  const [short, ...long] = description;
  const spec = [
    // The files must stay unchanged: a stripped executable would lose its payload.
    '%global __os_install_post %{nil}',
    '%global debug_package %{nil}',
    '%global _build_id_links none',
    '%global use_source_date_epoch_as_buildtime 1',
    '%global _buildhost localhost',
    '%define _binary_payload w6.xzdio',
    'Name: kdump-mem',
    `Version: ${version}`,
    'Release: 1',
    `Summary: ${short}`,
    'License: MIT',
    'AutoReqProv: no',
    'Requires: libc.so.6(GLIBC_2.28)(64bit), libstdc++.so.6()(64bit)',
    'Recommends: iproute, util-linux',
    '%description',
    ...long,
    '%install',
    `cp -a -- '${resolve(root)}/.' %{buildroot}/`,
    // Completion folder of zsh on such systems.
    'mkdir -p %{buildroot}/usr/share/zsh/site-functions',
    'mv %{buildroot}/usr/share/zsh/vendor-completions/* %{buildroot}/usr/share/zsh/site-functions/',
    'rmdir %{buildroot}/usr/share/zsh/vendor-completions',
    '%files',
    ...foldersBelow(root)
      .map((path) => asThere(relative(root, path)))
      .filter((path) => OURS.test(path))
      .map((path) => `%dir "/${path}"`),
    ...filesBelow(root).map((path) => `"/${asThere(relative(root, path))}"`),
    '',
  ].join('\n');
  try {
    const specFile = join(work, 'kdump-mem.spec');
    writeFileSync(specFile, spec);
    const target = ['--target', `${MACHINE[architecture]}-linux`];
    const defines = ['--define', `_topdir ${work}`, '--define', `_tmppath ${work}`];
    execFileSync('rpmbuild', ['-bb', '--quiet', ...target, ...defines, specFile], {
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const folder = join(work, 'RPMS', MACHINE[architecture]);
    const [made] = readdirSync(folder);
    copyFileSync(join(folder, made), file);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
