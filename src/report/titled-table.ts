import { renderTable } from './table.js';

/** A column of a table whose rows are cells already. */
export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

/** The same as {@link renderTable} of such rows, cut nowhere. */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): string {
  return renderTable(
    columns.map(({ title, align = 'left' }, index) => ({
      heading: title,
      value: (row: readonly string[]) => row[index] ?? '',
      align,
    })),
    rows,
    null,
  );
}
