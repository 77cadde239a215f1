/**
 * Whether the kernel notes allocations. `off`: it could, but was not told to. `absent`: it was built without
 * this.
 */
export type RecordState = 'on' | 'off' | 'absent';
