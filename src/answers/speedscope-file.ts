/** A stack's frames by their numbers, the outermost first, and the bytes that it weighs. */
export interface WeighedStack {
  readonly frames: readonly number[];
  readonly bytes: number;
}

/** A file for speedscope, of one profile. */
export interface SpeedscopeProfile {
  readonly version: string;
  readonly name: string;
  readonly frames: readonly { readonly name: string; readonly file?: string }[];
  readonly stacks: readonly WeighedStack[];
}

/**
 * As https://www.speedscope.app/file-format-schema.json has it: one sampled profile, weighed by bytes. A browser
 * shows it offline too.
 */
export function speedscopeFile({ version, name, frames, stacks }: SpeedscopeProfile): object {
  return {
    $schema: 'https://www.speedscope.app/file-format-schema.json',
    exporter: `kdump-mem@${version}`,
    name,
    activeProfileIndex: 0,
    shared: { frames },
    profiles: [
      {
        type: 'sampled',
        name,
        unit: 'bytes',
        startValue: 0,
        endValue: stacks.reduce((sum, { bytes }) => sum + bytes, 0),
        samples: stacks.map((stack) => stack.frames),
        weights: stacks.map(({ bytes }) => bytes),
      },
    ],
  };
}
