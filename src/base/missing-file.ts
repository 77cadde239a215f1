/** That a file is not there, for a message; Node gives names that are not UTF-8 with U+FFFD in them. */
export function missingFile(path: string): string {
  return path.includes('\ufffd')
    ? `${path}: not found (the name is not valid UTF-8)`
    : `${path}: not found`;
}
