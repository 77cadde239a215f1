import { folderLimit, type LogFile } from '../../host/logs.js';
import type { Pasted } from '../../records/pasted.js';
import { isOfLogs, NODE_LOG } from './manifest.js';

/** Relevant files of a capture or a sosreport, by path below its top directory. */
export class CapturedFiles {
  readonly #bytes: ReadonlyMap<string, Buffer>;

  constructor(
    files: Iterable<readonly [string, Buffer | string]>,
    /** Known missing or damaged parts, in words. */
    readonly damage: readonly string[] = [],
    /** Files that are truncated. */
    readonly cut: ReadonlySet<string> = new Set(),
    /** Logs in a folder, by path: read in pieces later. */
    private readonly logPaths: ReadonlyMap<string, string> = new Map(),
    /** What the text of these files was copied from; undefined: they are whole files. */
    readonly pasted?: Pasted,
  ) {
    this.#bytes = new Map(
      [...files].map(([name, content]) => [name, typeof content === 'string' ? Buffer.from(content) : content]),
    );
  }

  has(name: string): boolean {
    return this.#bytes.has(name);
  }

  names(): string[] {
    return [...this.#bytes.keys()];
  }

  /** Logs besides the capture's own. */
  logs(within = folderLimit()): LogFile[] {
    const read = this.names().filter((name) => isOfLogs(name) || (name === NODE_LOG && this.hasLogsAlone));
    return [
      ...read.map((name) => ({ name, content: this.#bytes.get(name) ?? '' })),
      ...[...this.logPaths].map(([name, content]) => ({ name, content, within })),
      ...[...(this.pasted?.logs ?? [])].map(([name, text]) => ({ name, content: Buffer.from(text) })),
    ];
  }

  /** Whether the capture contains only logs. */
  get hasLogsAlone(): boolean {
    return this.names().every((name) => isOfLogs(name) || name === NODE_LOG);
  }

  bytes(name: string): Buffer | undefined {
    return this.#bytes.get(name);
  }

  /** Returns a file as text, decoded on each call. Bytes that are not UTF-8 become U+FFFD. */
  get(name: string): string | undefined {
    return this.#bytes.get(name)?.toString('utf8');
  }
}
