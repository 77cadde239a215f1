const SPELLED_OUT: Record<string, string> = { ESTAB: 'ESTABLISHED' };

/** ss cuts one state short; everything else (`UNCONN`, `CLOSE-WAIT`, …) stays as it prints it. */
export function socketState(word: string): string {
  return SPELLED_OUT[word] ?? word;
}
