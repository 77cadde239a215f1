import type { Kernel } from '../../kernel/kernel.js';
import { type Belongings, type Openers, OpenFiles, sharedTables } from '../tasks/descriptors.js';
import { Warnings } from '../warnings.js';

/**
 * Iterates over the open files of all processes, each once, and yields the results of `read` for each. On a
 * live kernel it may read a file again. Files that are only mapped, or queued in a unix socket, are not
 * included.
 *
 * @throws after the last file: errors of `read`, or the reason why files may be missing
 */
export type EachFile = <Found>(
  read: (file: bigint, openers: Openers) => Iterable<Found>,
) => Generator<Found>;

/** Open files of all processes, read on first use. */
export class FilesOfProcesses {
  readonly #kernel: Kernel;
  #owned: Belongings | undefined;
  #files: OpenFiles | undefined;
  #lost: unknown;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  readonly each: EachFile = (read) => this.#each(read);

  /** Notes objects that a live kernel freed since they were found. */
  note(warnings: Warnings): void {
    this.#files?.note('pipes and rings', warnings);
  }

  *#each<Found>(read: (file: bigint, openers: Openers) => Iterable<Found>): Generator<Found> {
    // Problems with tasks are already reported as warnings of the answer.
    this.#owned ??= sharedTables(this.#kernel, new Warnings());
    this.#files ??= new OpenFiles(this.#kernel, this.#owned, (_, error) => {
      this.#lost ??= error;
    });
    let lost = this.#owned.lost ?? this.#lost;
    for (const [file, openers] of this.#files) {
      try {
        yield* this.#files.read(file, () => [...read(file, openers)]) ?? [];
      } catch (error) {
        lost ??= error;
      }
    }
    if (lost !== undefined) throw lost;
  }
}
