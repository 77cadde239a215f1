import type { PageFacts } from '../../answers/html/page.js';
import { checkOutput, OutputFile } from '../../base/output-file.js';
import { UsageError } from './failure.js';
import type { SourceOptions } from './kernel-source.js';
import { STDOUT } from './output.js';
import { VERSION } from './version.js';

/** A page of an answer. */
export interface Page {
  /** Origin of the data, as command line options. */
  readonly source: string;
  /** Printed if the page goes to a file. */
  readonly headline: string;
  html(facts: PageFacts): string;
}

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
 * @returns the text to print: the page itself, or a confirmation
 * @throws {OutputError}
 */
export function writePage({ html: file = STDOUT, force }: PageOptions, page: Page): string {
  const html = page.html({ source: page.source, version: VERSION, made: new Date() });
  if (file === STDOUT) return html;
  const output = new OutputFile(file, force ?? false);
  try {
    output.write(0, Buffer.from(`${html}\n`));
    output.finish();
  } finally {
    output.discard();
  }
  return `${page.headline}\n\n${file}: open it in a browser`;
}
