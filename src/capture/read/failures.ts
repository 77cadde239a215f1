import { HostError } from '../../base/errors.js';

/** Maximum number of failures to keep: one per unreadable process and file. */
const MAX_FAILURES = 300_000;

const CODES = {
  gone: 'gone',
  absent: 'gone',
  denied: 'denied',
  unreadable: 'unreadable',
  cut: 'unreadable',
} as const;

const REASONS = {
  denied: 'permission denied',
  unreadable: 'read failed',
  cut: 'truncated',
} as const;

/** Advice for missing data: this machine's own files cannot replace another host's. */
const ADVICE = 'Take a new snapshot of that host as root: kdump-mem snapshot.';

type CapturedFailure = keyof typeof CODES;

/** Failures recorded in a capture, by path: one line `PATH<TAB>WHY<TAB>words` each. */
export class CapturedFailures {
  readonly #failures = new Map<string, { readonly why: CapturedFailure; readonly words: string }>();

  constructor(text: string) {
    for (const [, path = '', why, words = ''] of text.matchAll(
      /^([^\t\n]{1,4096})\t(gone|absent|denied|unreadable|cut)(?:\t(.{0,500}))?.*$/gm,
    )) {
      if (this.#failures.size >= MAX_FAILURES) break;
      this.#failures.set(path, { why: why as CapturedFailure, words });
    }
  }

  /** Whether a failure was recorded for a path. */
  has(path: string): boolean {
    return this.#failures.has(path);
  }

  /** Whether a path disappeared before it was read. */
  isGone(path: string): boolean {
    return this.#failures.get(path)?.why === 'gone';
  }

  /** Files that existed but could not be read completely; the message is `PATH: REASON`. */
  unread(): readonly HostError[] {
    return [...this.#failures].flatMap(([path, { why }]) =>
      why === 'gone' || why === 'absent'
        ? []
        : [new HostError(CODES[why], `${path}: ${REASONS[why]}`)],
    );
  }

  /** Truncated files in the capture: paths of the host, and names in the capture. */
  cut(): ReadonlySet<string> {
    return new Set([...this.#failures].flatMap(([path, { why }]) => (why === 'cut' ? [path] : [])));
  }

  /**
   * Returns why a path is not in the capture.
   *
   * @param leftOut omitted on purpose
   */
  of(path: string, leftOut = false): HostError {
    if (leftOut)
      return new HostError('gone', `${path} is excluded from this capture`, {
        next: 'Take a capture without --anonymize if it may be disclosed.',
      });
    // Where a process's status is not readable, its other files are not captured.
    const status = /^\/proc\/\d+\//.exec(path)?.[0].concat('status') ?? '';
    const failure = this.#failures.get(path) ?? this.#failures.get(status);
    if (!failure) return new HostError('gone', `${path} was not captured`, { next: ADVICE });
    const { why, words } = failure;
    const cause = why === 'gone' || why === 'absent' ? 'not found' : REASONS[why];
    return new HostError(
      CODES[why],
      `${path} was not captured: ${cause}${words ? ` (${words})` : ''}`,
      { next: ADVICE },
    );
  }
}
