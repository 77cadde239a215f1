/**
 * Makes text from a dump, from /proc or from the command line inert for a terminal and for a line
 * of output: control characters (C0, DEL, C1), line and paragraph separators and characters that
 * reorder text (bidi) come out as `\xNN` or `\u{NNNN}`, and a backslash as `\\`, so that the
 * escaped form is unambiguous. A byte that was no UTF-8 (U+DC80 to U+DCFF) comes out as `\xNN`.
 */
export function escapeText(text: string): string {
  return text.replace(UNSAFE, (char) => {
    if (char === '\\') return '\\\\';
    const code = char.codePointAt(0) ?? 0;
    const byte = code >= 0xdc80 && code <= 0xdcff ? code - 0xdc00 : code;
    return byte < 0x100 ? `\\x${byte.toString(16).padStart(2, '0')}` : `\\u{${byte.toString(16)}}`;
  });
}

const UNSAFE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  /[\\\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]/gu;
