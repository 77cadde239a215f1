/** The files of a capture, in order. */
export type CapturedEntries = [string, string][];

/** Damage to one file: returns all files after it, or null if nothing changes. */
export const DAMAGES: Record<string, (files: CapturedEntries, index: number) => CapturedEntries | null> = {
  'is missing': (files, index) => files.toSpliced(index, 1),
  'is empty': (files, index) => edit(files, index, () => ''),
  'is cut in half': (files, index) => edit(files, index, (text) => text.slice(0, text.length / 2)),
  'lacks its last byte': (files, index) => edit(files, index, (text) => text.slice(0, -1)),
  'lacks its first line': (files, index) => edit(files, index, (text) => text.slice(text.indexOf('\n') + 1)),
  'lacks its last line': (files, index) =>
    edit(files, index, (text) => text.slice(0, text.lastIndexOf('\n', text.length - 2) + 1)),
  'has its lines twice': (files, index) => edit(files, index, (text) => text + text),
  'has a line of garbage': (files, index) => edit(files, index, (text) => `${text}\u0001garbage\n`),
  'has another digit': (files, index) =>
    edit(files, index, (text) => text.replace(/[1-9]/, (digit) => `${(Number(digit) % 9) + 1}`)),
  'is in it twice, first another': (files, index) =>
    [['', ''], ...files].with(0, [files[index]?.[0] ?? '', 'other\n']) as CapturedEntries,
  'has a name of its own': (files, index) => files.with(index, [`${files[index]?.[0]}x`, files[index]?.[1] ?? '']),
  'is the one of the other sample': (files, index) => {
    const [name = '', text] = files[index] ?? [];
    const other = files.find(([each]) => each === name.replace(/^sample-([12])/, (_, n) => `sample-${3 - Number(n)}`));
    return other && other[1] !== text ? files.with(index, [name, other[1]]) : null;
  },
};

function edit(files: CapturedEntries, index: number, change: (text: string) => string): CapturedEntries | null {
  const [name = '', text = ''] = files[index] ?? [];
  const changed = change(text);
  return changed === text ? null : files.with(index, [name, changed]);
}
