import type { Kernel } from '../../kernel/kernel.js';
import { type Belongings, belongings, OpenFiles } from '../tasks/descriptors.js';
import { Warnings } from '../warnings.js';

/**
 * Goes through the open files of all processes, each once, and yields what `read` finds of each; of a live kernel it
 * may read one again. A file that is only mapped, or that waits in a unix socket's queue, is not among them.
 *
 * @throws after the last file: what `read` throws, or why files may be missing
 */
export type EachFile = <Found>(read: (file: bigint) => Iterable<Found>) => Generator<Found>;

/** The open files of all processes, read when they are first needed. */
export class FilesOfProcesses {
  readonly #kernel: Kernel;
  #owned: Belongings | undefined;
  #files: OpenFiles | undefined;
  #lost: unknown;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  readonly each: EachFile = (read) => this.#each(read);

  /** Adds what a live kernel freed since it was found. */
  note(warnings: Warnings): void {
    this.#files?.note('pipes and rings', warnings);
  }

  *#each<Found>(read: (file: bigint) => Iterable<Found>): Generator<Found> {
    // Whatever is wrong with tasks is a warning of the answer already.
    this.#owned ??= belongings(this.#kernel, new Warnings());
    this.#files ??= new OpenFiles(this.#kernel, this.#owned, (_, error) => {
      this.#lost ??= error;
    });
    let lost = this.#owned.lost ?? this.#lost;
    for (const [file] of this.#files) {
      try {
        yield* this.#files.read(file, () => [...read(file)]) ?? [];
      } catch (error) {
        lost ??= error;
      }
    }
    if (lost !== undefined) throw lost;
  }
}
