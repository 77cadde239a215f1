import { HostError } from '../../base/errors/host.js';

/** So many are kept: one of each process and file that could not be read. */
const MOST_FAILURES = 300_000;

const CODES = {
  gone: 'gone',
  absent: 'gone',
  denied: 'denied',
  unreadable: 'unreadable',
  cut: 'unreadable',
} as const;

/** No source of this machine tells of another one. */
const AGAIN = 'Take a new snapshot of that host as root: kdump-mem snapshot.';

type Why = keyof typeof CODES;

/** What could not be read when it was captured, by path: `PATH<TAB>WHY<TAB>words`, a line of each. */
export class CapturedFailures {
  readonly #whys = new Map<string, { readonly why: Why; readonly words: string }>();

  constructor(text: string) {
    for (const [, path = '', why, words = ''] of text.matchAll(
      /^([^\t\n]{1,4096})\t(gone|absent|denied|unreadable|cut)(?:\t(.{0,500}))?.*$/gm,
    )) {
      if (this.#whys.size >= MOST_FAILURES) break;
      this.#whys.set(path, { why: why as Why, words });
    }
  }

  /** Whether something is told of a path. */
  has(path: string): boolean {
    return this.#whys.has(path);
  }

  /** What is in the capture and not whole: paths of the host, and names in the capture. */
  cut(): ReadonlySet<string> {
    return new Set([...this.#whys].flatMap(([path, { why }]) => (why === 'cut' ? [path] : [])));
  }

  /**
   * Why a path is not in the capture.
   *
   * @param leftOut on purpose
   */
  of(path: string, leftOut = false): HostError {
    if (leftOut)
      return new HostError('gone', `${path} is excluded from this capture`, {
        next: 'Take a capture without --anonymize if it may be disclosed.',
      });
    const failure = this.#whys.get(path);
    if (!failure) return new HostError('gone', `${path} was not captured`, { next: AGAIN });
    const { why, words } = failure;
    const reason = {
      denied: 'permission denied',
      unreadable: 'read failed',
      cut: 'truncated',
    } as const;
    const cause = why === 'gone' || why === 'absent' ? 'not found' : reason[why];
    return new HostError(
      CODES[why],
      `${path} was not captured: ${cause}${words ? ` (${words})` : ''}`,
      { next: AGAIN },
    );
  }
}
