export function codesSource(root: string): string[];
