export interface Text {
  /** From the repository's root. */
  readonly file: string;
  readonly line: number;
  readonly text: string;
}
export function printedText(root: string, folder: string): Text[];
export function testTitles(root: string, folder: string): Text[];
export function declaredNames(root: string, folder: string): { file: string; name: string; isVariable: boolean }[];
