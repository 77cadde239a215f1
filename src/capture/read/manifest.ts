/** What there is of one file of a capture. */
export interface CapturedFile {
  /** Its whole size, also where only its beginning was read. */
  readonly size: number;
  readonly read: number;
  /** By `cksum`, of what was read. */
  readonly sum: number;
  /** How often the archive has it. */
  readonly times: number;
}

/** What can be wrong with a capture. */
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
  /** The file that it is about; null: the archive as a whole. Hostile. */
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

/** @param detail of the archive: why it cannot be read */
export function fault(code: CaptureFault['code'], path?: string, detail?: string): CaptureFault {
  const words = `${path === undefined ? '' : `${path} `}${detail ?? FAULT_WORDS[code]}`;
  return { code, path: path ?? null, words };
}

/**
 * What is wrong with a capture by its own manifest: a line `CHECKSUM SIZE ./NAME` for each other file, as
 * cksum prints it, and a last one, `whole COUNT`. Nothing: it is whole.
 *
 * @param files by name below the top directory; what is not of interest may be missing, if `wanted` says so
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
