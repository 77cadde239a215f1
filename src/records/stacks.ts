/** Reasons why a stack is not followed to its end, beside unreadable memory. */
export const STACK_STOP_CODES = [
  'comes-back',
  'endless',
  'returns-to-nothing',
  'returns-to-no-code',
  'returns-to-no-call',
  'return-traced',
  'no-table',
  'table-ends',
  'register-unknown',
  'pointer-off',
  'record-unknown',
  'registers-amid',
  'ends-amid',
  'gave-up-outside',
  'no-registers',
  'scanned',
] as const;
