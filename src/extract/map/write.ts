import { ExtractError } from '../../base/errors/extract.js';
import { formatJson } from '../../base/json.js';
import type { OutputFile } from '../../base/output-file.js';
import { NAME_KINDS, type Replacements } from '../anonymize/replacements.js';
import { Appender } from '../write/appender.js';
import type { FileIdentity } from './identity.js';
import { MOST_MAP_BYTES } from './limits.js';
import type { TruePlace } from './places.js';

/**
 * Writes the map of an anonymous extract, a place a line.
 *
 * @param file is finished
 * @throws {ExtractError} `cannot-write`
 */
export function writeMap(
  file: OutputFile,
  extract: FileIdentity,
  names: Replacements,
  places: Iterable<TruePlace>,
): void {
  const appender = new Appender(file, 0);
  const put = (text: string): void => {
    const bytes = Buffer.from(text, 'latin1');
    if (appender.position + bytes.length > MOST_MAP_BYTES)
      throw new ExtractError('cannot-write', `${file.path}: too many replacements for one map`);
    appender.append(bytes);
  };
  put(`{"schema":"kdump-mem.map/1",\n"extract":${formatJson(extract)}`);
  for (const kind of NAME_KINDS) {
    put(`,\n"${kind}":[`);
    let before = '\n';
    for (const one of names.of(kind)) {
      put(before + formatJson(one));
      before = ',\n';
    }
    put(']');
  }
  put(',\n"places":[');
  let before = '\n';
  for (const { at, bytes } of places) {
    for (let from = 0; from < bytes.length; from += LONGEST_PLACE) {
      const part = bytes.subarray(from, from + LONGEST_PLACE);
      put(`${before}[${at + from},"${Buffer.from(part).toString('hex')}"]`);
      before = ',\n';
    }
  }
  put(']}\n');
  appender.flush();
  file.finish();
}

/** The schema's. */
const LONGEST_PLACE = 4096;
