/**
 * Formats JSON in ASCII only, so that no name in it can control a terminal.
 *
 * @param indent blanks per level; none: on one line
 */
export function formatJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
