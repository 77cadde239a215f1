import { HostError } from '../../base/errors.js';

/** Yields the lines of a text without splitting all of it at once. */
export function* linesOf(text: string): Generator<string> {
  for (let from = 0; from < text.length; ) {
    const end = text.indexOf('\n', from);
    const to = end < 0 ? text.length : end;
    yield text.slice(from, to);
    from = to + 1;
  }
}

const NEWLINE = 0x0a;

/** Format of a capture file that contains many small files. */
export interface LinesOf {
  /** The first group is the path, which is followed by a colon. */
  readonly path: RegExp;
  /** Maximum bytes of a line up to the end of its path. */
  readonly head: number;
  /** Maximum number of runs of lines of one path. */
  readonly limit: number;
}

/**
 * Many small files in one, each line as `PATH:LINE` (the output of `grep -H ^`), indexed by path.
 * Stores the bytes and the positions of each path's lines, but no strings.
 */
export class PathLines {
  readonly #bytes: Buffer;
  /** Path → start and end of each run of its lines. */
  readonly #runs = new Map<string, number[]>();
  /** Whether some lines were skipped. */
  readonly cut: boolean = false;

  /** @param endless whether the file is truncated: the last path then lacks lines */
  constructor(bytes: Buffer, { path: form, head, limit: most }: LinesOf, endless = false) {
    this.#bytes = bytes;
    let runs = 0;
    let [before, last] = ['', ''];
    for (let from = 0; from < bytes.length; ) {
      const newline = bytes.indexOf(NEWLINE, from);
      const to = newline < 0 ? bytes.length : newline + 1;
      const path = form.exec(bytes.toString('utf8', from, Math.min(to, from + head)))?.[1] ?? '';
      const own = this.#runs.get(path);
      if (own && path === before) own[own.length - 1] = to;
      else if (path !== '') {
        if (runs++ === most) {
          this.cut = true;
          return;
        }
        if (own) own.push(from, to);
        else this.#runs.set(path, [from, to]);
      }
      before = path;
      last = path || last;
      from = to;
    }
    if (endless) this.#runs.delete(last);
  }

  paths(): Iterable<string> {
    return this.#runs.keys();
  }

  /** Returns all lines of a path, without the path, each with a newline; undefined: it has none. */
  text(path: string): string | undefined {
    const runs = this.#runs.get(path);
    if (!runs) return undefined;
    let text = '';
    for (let index = 0; index < runs.length; index += 2) {
      const run = this.#bytes.toString('utf8', runs[index], runs[index + 1]).replace(/\n$/, '');
      for (const line of run.split('\n')) text += `${line.slice(path.length + 1)}\n`;
    }
    return text;
  }
}

/** Maximum number of failures to keep: one per unreadable process and file. */
const MAX_FAILURES = 300_000;

const CODES = {
  gone: 'gone',
  absent: 'gone',
  denied: 'denied',
  unreadable: 'unreadable',
  cut: 'unreadable',
  large: 'large',
} as const;

const REASONS = {
  gone: 'not found',
  absent: 'not found',
  denied: 'permission denied',
  unreadable: 'read failed',
  cut: 'truncated',
  large: 'not requested for large processes',
} as const;

/** Failures that leave a capture complete. */
const HARMLESS: ReadonlySet<CapturedFailure> = new Set(['gone', 'absent', 'large']);

/** Advice for missing data: this machine's own files cannot replace another host's. */
const ADVICE = 'If that host still runs, take a snapshot of it as root: kdump-mem snapshot.';

type CapturedFailure = keyof typeof CODES;

/** Failures recorded in a capture, by path: one line `PATH<TAB>WHY<TAB>words` each. */
export class CapturedFailures {
  readonly #failures = new Map<string, { readonly why: CapturedFailure; readonly words: string }>();

  constructor(text: string) {
    for (const [, path = '', why, words = ''] of text.matchAll(
      /^([^\t\n]{1,4096})\t(gone|absent|denied|unreadable|cut|large)(?:\t(.{0,500}))?.*$/gm,
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
      HARMLESS.has(why) ? [] : [new HostError(CODES[why], `${path}: ${REASONS[why]}`)],
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
    return new HostError(CODES[why], `${path} was not captured: ${REASONS[why]}${words ? ` (${words})` : ''}`, {
      next: ADVICE,
    });
  }
}
