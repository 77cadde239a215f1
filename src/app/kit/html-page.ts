import type { PageFacts } from '../../answers/html/page.js';
import { checkOutput, OutputFile } from '../../base/output-file.js';
import { UsageError } from './failure.js';
import type { SourceOptions } from './kernel-source.js';
import { STDOUT } from './output.js';
import { VERSION } from './version.js';

export interface PageOptions {
  /** The file to write; `-` is stdout. */
  readonly html?: string;
  readonly force?: true;
}

/**
 * Whether a page could be written, before anything is asked; it must not be a dump that is read.
 *
 * @throws {UsageError}, {@link OutputError}
 */
export function checkPage({
  html,
  force,
  vmcore = [],
  engine,
}: PageOptions & Partial<Pick<SourceOptions, 'vmcore' | 'engine'>>): void {
  if (html === undefined) return;
  if (engine === 'verify') throw new UsageError('--engine verify and --html cannot be combined');
  if (html === '') throw new UsageError('--html: the file name is empty');
  if (html !== STDOUT) checkOutput(html, force ?? false, vmcore);
}

/**
 * Writes a page.
 *
 * @param source where its figures are from, as a part of the command line
 * @param render makes it
 * @param headline is printed where the page itself is not
 * @returns what to print: the page itself, or that it is written
 * @throws {OutputError}
 */
export function writePage(
  { html: file = STDOUT, force }: PageOptions,
  source: string,
  render: (facts: PageFacts) => string,
  headline: () => string,
): string {
  const page = render({ source, version: VERSION, made: new Date() });
  if (file === STDOUT) return page;
  // For whom the umask lets read it, as if it were printed.
  const output = new OutputFile(file, force ?? false, 0o666 & ~process.umask());
  try {
    output.write(0, Buffer.from(`${page}\n`));
    output.finish();
  } finally {
    output.discard();
  }
  return `${headline()}\n\n${file}: open it in a browser`;
}
