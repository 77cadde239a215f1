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

/**
 * What is wrong with a capture by its own manifest: a line `CHECKSUM SIZE ./NAME` for each other file, as
 * cksum prints it, and a last one, `whole COUNT`. No line: it is whole.
 *
 * @param files by name below the top directory; what is not of interest may be missing, if `wanted` says so
 */
export function checkManifest(
  manifest: string,
  files: ReadonlyMap<string, CapturedFile>,
  wanted: (name: string) => boolean,
): string[] {
  const lines = manifest.split('\n');
  const count = /^whole (\d{1,9})$/.exec(lines.at(-2) ?? '')?.[1];
  if (lines.at(-1) !== '' || count === undefined || Number(count) !== lines.length - 2)
    return ['its manifest is damaged'];
  const problems: string[] = [];
  const named = new Set<string>();
  for (const line of lines.slice(0, -2)) {
    const [, sum, size, name = ''] = /^(\d{1,10}) (\d{1,15}) \.\/(\S+)$/.exec(line) ?? [];
    if (name === '' || named.has(name)) return ['its manifest is damaged'];
    named.add(name);
    const file = files.get(name);
    if (!file) {
      if (wanted(name)) problems.push(`${name} is missing`);
    } else if (file.read < file.size) continue;
    else if (file.size !== Number(size) || file.sum !== Number(sum))
      problems.push(`${name} is not as it was captured`);
  }
  for (const [name] of files)
    if (name !== MANIFEST && !named.has(name)) problems.push(`${name} does not belong to it`);
  return problems;
}

export const MANIFEST = 'manifest';
