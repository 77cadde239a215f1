import type { NotedFacts } from '../../answers/info/answer.js';
import { KernelError } from '../../base/errors/kernel.js';
import type { NativeKernel } from '../../kernel/native/kernel.js';
import { symbolFiles } from '../../kernel/native/symbol-files.js';
import type { SymbolFile } from '../../kernel/symbol-file.js';

type Opened = Pick<NativeKernel, 'provenance'>;
/** Files by what they are given as. */
type Files = Readonly<Partial<Record<'vmlinux' | 'symbols' | 'types', string>>>;

/** What a dump lacks of symbols and types, and what stands in, the best first. */
const PARTS = [
  { part: 'symbols', as: ['vmlinux', 'symbols'] },
  { part: 'types', as: ['vmlinux', 'btf'] },
] as const;

/**
 * Opens a dump with what is in it, and where it lacks symbols or types with files of a folder. A file that turns
 * out to be of another kernel is passed over.
 *
 * @param open with files; the last kernel that it opened is the one to use
 * @returns the kernel, and which files it needed
 * @throws what opening it without files throws
 */
export function openAided<K extends Opened>(
  open: (files: Files) => K,
  folder: string | undefined,
  noted: NotedFacts,
): { readonly kernel: K; readonly used: readonly SymbolFile[] } {
  let kernel = open({});
  let used: readonly SymbolFile[] = [];
  if (folder === undefined) return { kernel, used };
  for (const { part, as } of PARTS) {
    const files = as.flatMap((kind) => symbolFiles(folder, noted, kind));
    for (const file of files) {
      if (kernel.provenance[part].found) break;
      const all = [...used.filter((other) => other.as !== file.as), file];
      const better = attempt(() =>
        open(Object.fromEntries(all.map(({ as, path }) => [as === 'btf' ? 'types' : as, path]))),
      );
      if (!better?.provenance[part].found) continue;
      [kernel, used] = [better, all];
    }
  }
  return { kernel, used };
}

/** Undefined where files do not fit. */
function attempt<K>(open: () => K): K | undefined {
  try {
    return open();
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}
