import type { MemoryAnswer } from '../account/memory/answer.js';
import { checkOutput, OutputFile } from '../output-file.js';
import { headline } from '../report/memory/headline.js';
import { memoryHtml } from '../report/memory/html/page.js';
import { UsageError } from './failure.js';
import { type SourceOptions, sourceWords } from './kernel-source.js';
import { VERSION } from './version.js';

export interface PageOptions extends SourceOptions {
  /** The file to write; `-` is stdout. */
  readonly html?: string;
  readonly force?: true;
}

const STDOUT = '-';

/**
 * Whether a page could be written, before anything is asked.
 *
 * @throws {UsageError}, {@link OutputError}
 */
export function checkPage({ html, force, vmcore = [], engine }: PageOptions): void {
  if (html === undefined) return;
  if (engine === 'verify')
    throw new UsageError('--engine verify tells what differs: it writes no page');
  if (html !== STDOUT) checkOutput(html, force ?? false, vmcore);
}

/**
 * Writes the page.
 *
 * @returns what to print: the page itself, or that it is written
 * @throws {OutputError}
 */
export function writePage(answer: MemoryAnswer, options: PageOptions): string {
  const { html: file = STDOUT } = options;
  const source = sourceWords(options);
  const page = memoryHtml(answer, { source, version: VERSION, made: new Date() });
  if (file === STDOUT) return page;
  // For whom the umask lets read it, as if it were printed.
  const output = new OutputFile(file, options.force ?? false, 0o666 & ~process.umask());
  try {
    output.write(0, Buffer.from(`${page}\n`));
    output.finish();
  } finally {
    output.discard();
  }
  return `${headline(answer)}\n\n${file}: open it in a browser`;
}
