/**
 * Makes text from a dump, from /proc or from the command line inert for a terminal and for a line
 * of output. What a reader would not see, or would see elsewhere than it is, comes out as `\xNN` or
 * `\u{NNNN}`, and a backslash as `\\`, so that nothing else reads like the escaped form. A byte that
 * was no UTF-8 (U+DC80 to U+DCFF) comes out as `\xNN`.
 */
export function escapeText(text: string): string {
  if (PLAIN.test(text)) return text;
  unsafe ??= new RegExp(UNSAFE.join('|'), 'gu');
  return text.replace(unsafe, (char) => {
    if (char === '\\') return '\\\\';
    const code = char.codePointAt(0) ?? 0;
    const byte = code >= 0xdc80 && code <= 0xdcff ? code - 0xdc00 : code;
    return byte < 0x100 ? `\\x${byte.toString(16).padStart(2, '0')}` : `\\u{${byte.toString(16)}}`;
  });
}

/** Almost every name: half a millisecond goes into what V8 makes of {@link UNSAFE}, and more to read it. */
const PLAIN = /^[ -[\]-~]*$/;

const UNSAFE: readonly string[] = [
  String.raw`\\`,
  // Control and format characters (those that reorder text among them), halves of surrogate pairs,
  // what each font draws as it likes, ends of lines and paragraphs.
  String.raw`[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]`,
  // Invisible characters: fillers, variation selectors, tags, and reserved code points.
  String.raw`[\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}]`,
  // Letters and symbols that are blank in Unicode's own charts, and belong to none of these classes:
  // Braille without dots, a filler of Khitan, a note without its head.
  String.raw`[\u{2800}\u{16fe4}\u{1d159}]`,
  // Every space but the one that people type.
  String.raw`(?! )\p{Zs}`,
  // A mark that would join the character before this text: U+0338 makes ≠ of our own =.
  String.raw`^\p{M}`,
];

let unsafe: RegExp | undefined;
