const NEWLINE = 0x0a;

/** What of a capture is many small files in one. */
export interface LinesOf {
  /** The first group is the path, which a colon follows. */
  readonly path: RegExp;
  /** Bytes of a line in which its path ends. */
  readonly head: number;
  /** So many runs of lines of one path are taken. */
  readonly most: number;
}

/**
 * Many small files in one, each line as `PATH:LINE` (what `grep -H ^` prints): which lines are whose. Kept are
 * the bytes and where the lines of each path lie, and no text.
 */
export class PathLines {
  readonly #bytes: Buffer;
  /** Path → begin and end of each run of its lines. */
  readonly #runs = new Map<string, number[]>();
  /** Not all of it was taken. */
  readonly cut: boolean = false;

  /** @param endless its end is not there: neither are the last lines of its last path */
  constructor(bytes: Buffer, { path: form, head, most }: LinesOf, endless = false) {
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

  /** All lines of a path, without it, each with a newline; undefined: it has none. */
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
