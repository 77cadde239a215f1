import { LineCutter } from '../host/ss/lines.js';

/** `ss -i` prints the keys of TCP-MD5 to root: nobody has asked for those. */
const KEYS = / md5keys:\S*/g;

export function withoutKeys(line: string): string {
  return line.includes(' md5keys:') ? line.replaceAll(KEYS, '') : line;
}

/** What ss prints, as it comes, without keys. */
export function rowsWithoutKeys(write: (text: string) => void): LineCutter {
  return new LineCutter((bytes, from, to) => {
    write(`${withoutKeys(bytes.toString('latin1', from, to))}\n`);
  });
}
