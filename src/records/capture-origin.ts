/** Of which host a capture is, and of when; what it says of itself is hostile. */
export interface CaptureOrigin {
  /** Undefined: it does not say. */
  readonly name: string | undefined;
  readonly taken: Date | null;
}
