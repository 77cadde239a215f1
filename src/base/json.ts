/**
 * JSON that is all ASCII: whatever the names in it, a terminal shows it and does not obey.
 *
 * @param indent blanks a level; none: on one line
 */
export function formatJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
