export interface Suite {
  readonly name: string;
  readonly covers: string;
  readonly time: string;
  readonly ci?: boolean;
  readonly files: readonly string[];
  readonly exclude?: readonly string[];
  readonly first?: readonly string[];
  readonly beside?: string;
  readonly workers?: number;
  readonly shared?: boolean;
  readonly isolated?: boolean;
  readonly lab?: readonly (readonly string[])[];
  readonly env?: Readonly<Record<string, string>>;
}
export const SUITES: readonly Suite[];
