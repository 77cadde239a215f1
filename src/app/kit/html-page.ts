import type { PageFacts } from '../../answers/html/page.js';
import { checkOutput, OutputFile } from '../../base/output-file.js';
import { UsageError } from './failure.js';
import type { SourceOptions } from './kernel-source.js';
import { STDOUT } from './output.js';
import { VERSION } from './version.js';

export interface PageOptions {
  /** Output file; `-` is stdout. */
  readonly html?: string;
  readonly force?: true;
}

/**
 * Checks in advance that the page can be written, and does not overwrite the dump.
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
 * @param source origin of the data, as command line options
 * @param render creates the page
 * @param headline creates the text to print if the page goes to a file
 * @returns the text to print: the page itself, or a confirmation
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
  const output = new OutputFile(file, force ?? false);
  try {
    output.write(0, Buffer.from(`${page}\n`));
    output.finish();
  } finally {
    output.discard();
  }
  return `${headline()}\n\n${file}: open it in a browser`;
}
