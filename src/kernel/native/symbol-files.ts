import { statSync } from 'node:fs';
import { join } from 'node:path';
import { KernelError } from '../../base/errors.js';
import type { SymbolFile } from '../layout.js';
import { ElfFile } from './elf-file.js';

/** Identity of a kernel before its memory is interpreted. Hostile. */
interface KernelIdentity {
  readonly buildId?: string;
  readonly release?: string;
}

/** Paths of files by build id, as debuginfod, GNU tools and users store them. */
const BY_ID: Readonly<Record<SymbolFile['as'], (id: string) => readonly string[]>> = {
  vmlinux: (id) => [
    ...[
      `.build-id/${id.slice(0, 2)}/${id.slice(2)}.debug`,
      `.build-id/${id.slice(0, 2)}/${id.slice(2)}`,
    ],
    ...[`usr/lib/debug/.build-id/${id.slice(0, 2)}/${id.slice(2)}.debug`],
    ...[`${id}/vmlinux`, `${id}/debuginfo`, `${id}/executable`],
  ],
  symbols: (id) => [`${id}/System.map`],
  btf: (id) => [`${id}/vmlinux.btf`],
};

/** Paths of files by release, as in distributions' packages when unpacked there. */
const BY_RELEASE: Readonly<Record<SymbolFile['as'], (release: string) => readonly string[]>> = {
  vmlinux: (release) => [
    ...[`vmlinux-${release}`, `${release}/vmlinux`, `boot/vmlinux-${release}`],
    ...[`usr/lib/debug/boot/vmlinux-${release}`, `usr/lib/debug/lib/modules/${release}/vmlinux`],
  ],
  symbols: (release) => [
    ...[`System.map-${release}`, `${release}/System.map`, `boot/System.map-${release}`],
  ],
  btf: (release) => [`vmlinux-${release}.btf`, `${release}/vmlinux.btf`],
};

/**
 * Searches a folder for files that a dump lacks, the most reliable match first. A vmlinux with a
 * different build id is skipped, wherever it is.
 */
export function symbolFiles(
  folder: string,
  { buildId, release }: KernelIdentity,
  as: SymbolFile['as'],
): SymbolFile[] {
  const existing = (places: readonly string[]) =>
    places.map((place) => join(folder, place)).filter(isFile);
  const byId =
    buildId !== undefined && /^[0-9a-f]{8,}$/.test(buildId) ? existing(BY_ID[as](buildId)) : [];
  // Rejects paths: `..` would leave the folder.
  const isName = release !== undefined && /^[\w.+~-]{1,200}$/.test(release);
  const byRelease = isName && !release.includes('..') ? existing(BY_RELEASE[as](release)) : [];
  const file = (path: string, by: SymbolFile['by']): SymbolFile[] => {
    const own = as === 'vmlinux' ? buildIdOf(path) : undefined;
    if (own === undefined || buildId === undefined) return [{ path, as, by }];
    return own === buildId ? [{ path, as, by: 'build-id' }] : [];
  };
  return [
    ...byId.flatMap((path) => file(path, 'build-id')),
    ...byRelease.flatMap((path) => file(path, 'release')),
  ];
}

function buildIdOf(path: string): string | undefined {
  try {
    const elf = ElfFile.open(path);
    try {
      return elf.buildId;
    } finally {
      elf.close();
    }
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}

function isFile(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
  } catch {
    // A path component is not a folder, or is not accessible.
    return false;
  }
}
