import { statSync } from 'node:fs';
import { join } from 'node:path';
import { KernelError } from '../../base/errors/kernel.js';
import type { SymbolFile } from '../symbol-file.js';
import { ElfFile } from './elf-file.js';

/** What is known of a kernel before anything in its memory is looked at. Hostile. */
interface Noted {
  readonly buildId?: string;
  readonly release?: string;
}

/** Where files lie under a build id, as debuginfod, GNU tools and people put them. */
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

/** And under a release, as distributions' packages have them when they are unpacked there. */
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
 * Looks in a folder for what a dump lacks, the surest first. A vmlinux whose own build id is another is passed
 * over, wherever it lies.
 */
export function symbolFiles(
  folder: string,
  { buildId, release }: Noted,
  as: SymbolFile['as'],
): SymbolFile[] {
  const there = (places: readonly string[]) =>
    places.map((place) => join(folder, place)).filter(isFile);
  const byId =
    buildId !== undefined && /^[0-9a-f]{8,}$/.test(buildId) ? there(BY_ID[as](buildId)) : [];
  // No path: `..` would lead out of the folder.
  const isName = release !== undefined && /^[\w.+~-]{1,200}$/.test(release);
  const byRelease = isName && !release.includes('..') ? there(BY_RELEASE[as](release)) : [];
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
    // A part of the path is no folder, or may not be looked into.
    return false;
  }
}
