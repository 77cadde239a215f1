/** That a file is not there, for a message; Node gives names that are not UTF-8 with U+FFFD in them. */
export function missingFile(path: string): string {
  return path.includes('\ufffd')
    ? `the name of ${path} is not UTF-8: rename it`
    : `there is no file ${path}`;
}
