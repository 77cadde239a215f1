/** A file found in a capture. */
export interface CapturedFile {
  /** Its full size, also if only its beginning was read. */
  readonly size: number;
  readonly read: number;
  /** Checksum by `cksum` of the bytes read. */
  readonly sum: number;
  /** Number of occurrences in the archive. */
  readonly times: number;
}

/** Possible problems of a capture. */
export const CAPTURE_FAULT_CODES = [
  'archive-damaged',
  'archive-unreadable',
  'manifest-missing',
  'manifest-damaged',
  'file-missing',
  'file-changed',
  'file-foreign',
  'file-twice',
  'file-too-large',
] as const;

export interface CaptureFault {
  readonly code: (typeof CAPTURE_FAULT_CODES)[number];
  /** The affected file; null: the whole archive. Hostile. */
  readonly path: string | null;
  readonly words: string;
}

const FAULT_WORDS: Record<CaptureFault['code'], string> = {
  'archive-damaged': 'the archive is truncated or corrupt',
  'archive-unreadable': 'the archive cannot be read',
  'manifest-missing': 'the manifest is missing',
  'manifest-damaged': 'the manifest is corrupt',
  'file-missing': 'is missing',
  'file-changed': 'differs from the captured file',
  'file-foreign': 'is not in the manifest',
  'file-twice': 'occurs more than once',
  'file-too-large': 'is too large to checksum',
};

/** @param detail for the archive: why it cannot be read */
export function fault(code: CaptureFault['code'], path?: string, detail?: string): CaptureFault {
  const words = `${path === undefined ? '' : `${path} `}${detail ?? FAULT_WORDS[code]}`;
  return { code, path: path ?? null, words };
}

/**
 * Verifies a capture against its manifest: a line `CHECKSUM SIZE ./NAME` for each other file, as
 * printed by cksum, and a last one, `whole COUNT`. Empty: it is complete.
 *
 * @param files by name below the top directory; irrelevant ones may be missing, according to `wanted`
 */
export function checkManifest(
  manifest: string,
  files: ReadonlyMap<string, CapturedFile>,
  wanted: (name: string) => boolean,
): CaptureFault[] {
  const lines = manifest.split('\n');
  const count = /^whole (\d{1,9})$/.exec(lines.at(-2) ?? '')?.[1];
  if (lines.at(-1) !== '' || count === undefined || Number(count) !== lines.length - 2)
    return [fault('manifest-damaged')];
  const problems: CaptureFault[] = [];
  const named = new Set<string>();
  for (const line of lines.slice(0, -2)) {
    const [, sum, size, name = ''] = /^(\d{1,10}) (\d{1,15}) \.\/(\S+)$/.exec(line) ?? [];
    if (name === '' || named.has(name)) return [fault('manifest-damaged')];
    named.add(name);
    const file = files.get(name);
    if (!file) {
      if (wanted(name)) problems.push(fault('file-missing', name));
    } else if (file.read < file.size) continue;
    else if (file.size !== Number(size) || file.sum !== Number(sum))
      problems.push(fault('file-changed', name));
  }
  for (const [name] of files)
    if (name !== MANIFEST && !named.has(name)) problems.push(fault('file-foreign', name));
  return problems;
}

export const MANIFEST = 'manifest';
