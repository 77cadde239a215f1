export function sources(root: string): { readonly commit: string | null; readonly sources: string | null };
export function record(root: string, run: object): void;
export function latestRuns(root: string): Map<string, unknown>;
