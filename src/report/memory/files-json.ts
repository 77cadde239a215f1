import type { FilesAnswer } from '../../account/memory/files.js';
import type { FilesJson } from './schema.js';

/** Files that have page frames, as the JSON contract has them. */
export function filesJson({ files, unnamed }: FilesAnswer): FilesJson {
  return {
    files: files.map((file) => ({
      bytes: file.bytes,
      pageCacheBytes: file.cacheBytes,
      sharedBytes: file.sharedBytes,
      dirtyBytes: file.dirtyBytes,
      writebackBytes: file.writebackBytes,
      path: file.path?.path ?? null,
      mounts: file.path?.mounts ?? null,
      blockDevice: file.blockDevice ?? null,
      deleted: file.deleted,
      mapped: file.mapped,
      fsType: file.fsType,
      device: file.device,
      inode: `${file.inode}`,
      sizeBytes: file.size,
    })),
    unnamed: unnamed.map(({ why, ...one }) => ({ ...one, why: why ?? null })),
  };
}
