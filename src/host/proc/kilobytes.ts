/**
 * The values of lines `NAME:   123 kB` of /proc/PID/status and smaps added up, bytes; null where there is no
 * such line.
 *
 * Lines end at a newline alone: a path in smaps may hold what regular expressions take for the end of a line.
 *
 * @param text begins with a newline, so that each line does
 */
export function kilobytesOf(text: string, name: string): number | null {
  const key = `\n${name}:`;
  let sum: number | null = null;
  for (let at = text.indexOf(key); at >= 0; at = text.indexOf(key, at + key.length)) {
    const from = at + key.length;
    const end = text.indexOf('\n', from);
    const value = text.slice(from, end < 0 ? text.length : end);
    if (VALUE.test(value)) sum = (sum ?? 0) + Number.parseInt(value, 10) * 1024;
  }
  return sum;
}

const VALUE = /^[ \t]{1,24}\d{1,15} kB$/;
