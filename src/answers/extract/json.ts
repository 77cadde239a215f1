import { NAME_KINDS } from '../../extract/anonymize/replacements.js';
import type { Extracted } from '../../extract/extract.js';
import type { Warning } from '../../walk/warnings.js';
import { type ExtractJson, extractSchema } from './schema.js';

/** What an extract says of itself, as `--json` prints it. */
export function extractJson(
  found: Extracted,
  asked: { readonly file: string; readonly map?: string; readonly warnings: readonly Warning[] },
): ExtractJson {
  const names = NAME_KINDS.map((kind) => {
    const all = found.names.of(kind);
    const replaced = found.anonymized ? all.filter(({ made, real }) => made !== real).length : 0;
    return [kind, { replaced, kept: all.length - replaced }] as const;
  });
  return extractSchema.parse({
    schema: 'kdump-mem.extract/1',
    file: asked.file,
    sizeBytes: found.size,
    pages: found.pages,
    partialPages: found.partialPages,
    sockets: found.sockets,
    anonymized: found.anonymized,
    names: Object.fromEntries(names),
    stays: [
      ...['ports', 'pids', 'inodes', 'kernel-threads', 'modules', 'build'],
      'crash-time',
      ...(found.log === 'kept' ? ['log'] : []),
    ],
    release: found.release,
    crashTime: found.crashTime ?? null,
    log: found.log,
    map: asked.map ?? null,
    warnings: asked.warnings,
  });
}
