import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { KernelError } from '../../../base/errors/kernel.js';
import { FileSource, readHead } from './byte-source.js';
import { DUMP } from './directory.js';
import { isKdumpCompressed, readDiskdumpHeader } from './diskdump/header.js';
import { ET_CORE, isElf } from './elf/header.js';
import { isFlattened } from './flattened/flattened.js';
import { refuseForeign } from './foreign.js';

/** What a file seems to be, by what it begins with. */
interface Recognised {
  /** A dump, or what was meant to be one: whoever opens it says what is wrong with it. */
  readonly isDump: boolean;
  /** Of a part of a split dump: the same for all of its parts. */
  readonly partOf?: string;
}

const HEAD = 65536;

/**
 * Tells a dump from other files that lie beside it. The name counts only where the content does not tell: of
 * a file that is empty, compressed, or begins with zeros.
 *
 * @throws {KernelError} `no-such-file`, `permission`, `not-a-dump` if it is no regular file
 */
export function recognise(path: string): Recognised {
  const source = new FileSource(path);
  try {
    const head = readHead(source, 0, HEAD);
    if (isKdumpCompressed(head)) return { isDump: true, ...partOf(source) };
    if (isFlattened(head) || isCore(head)) return { isDump: true };
    if (!DUMP.test(basename(path))) return { isDump: false };
    return { isDump: head.byteLength === 0 || isPlainName(path) || isWrapped(source, head) };
  } finally {
    source.close();
  }
}

/** Of whatever byte order: a core that is not read has a line that says so. */
function isCore(head: DataView): boolean {
  if (!isElf(head) || head.byteLength < 18) return false;
  return head.getUint16(16, head.getUint8(5) !== 2) === ET_CORE;
}

/** Named as kdump names dumps, without a suffix that may stand for a checksum or notes. */
function isPlainName(path: string): boolean {
  return !basename(path).startsWith('vmcore.');
}

function isWrapped(source: FileSource, head: DataView): boolean {
  try {
    refuseForeign(source, head);
    return false;
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return error.code !== 'not-a-dump';
  }
}

function partOf(source: FileSource): Pick<Recognised, 'partOf'> {
  try {
    const { split, identity } = readDiskdumpHeader(source);
    if (split === undefined) return {};
    return { partOf: createHash('sha256').update(identity, 'latin1').digest('hex') };
  } catch (error) {
    if (error instanceof KernelError) return {};
    throw error;
  }
}
