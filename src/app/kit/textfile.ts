import { OutputFile } from '../../base/output-file.js';

/**
 * Writes metrics for node_exporter's textfile collector: the file appears whole or not at all.
 *
 * @throws {OutputError}
 */
export function writeTextfile(file: string, text: string): void {
  // The collector is another user.
  const output = new OutputFile(file, true, 0o644);
  output.write(0, Buffer.from(text));
  output.finish();
}
