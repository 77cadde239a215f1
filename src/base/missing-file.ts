/** Error text for a missing file; Node replaces bytes of names that are not UTF-8 by U+FFFD. */
export function missingFile(path: string): string {
  return path.includes('\ufffd')
    ? `${path}: not found (the name is not valid UTF-8)`
    : `${path}: not found`;
}
