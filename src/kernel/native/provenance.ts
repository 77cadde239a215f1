/** Where what the native engine knows comes from: nothing is taken silently from elsewhere. */
export interface Provenance {
  /** Where VMCOREINFO was found. */
  readonly vmcoreinfo: string;
  readonly symbols: Found<'kallsyms' | 'System.map' | 'vmlinux'>;
  readonly types: Found<'dump' | 'file'>;
  /** The direct map and the array of `struct page`; addresses as hex words in `detail`. */
  readonly directMap: Found<'kernel'>;
  readonly pages: Found<'kernel'>;
  /** How memory is paged. */
  readonly paging: string;
}

/** A part that was found, and where; or not, and why. */
export type Found<Source extends string> =
  | { readonly found: true; readonly source: Source; readonly detail: string }
  | { readonly found: false; readonly why: string };
