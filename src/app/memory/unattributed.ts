import { describeUnattributed } from '../../account/references/unattributed.js';
import { unattributedJson, unattributedText } from '../../answers/memory/unattributed/render.js';
import { type AnswerOptions, present } from '../kit/answer.js';
import { UsageError } from '../kit/failure.js';
import { openNativeSource, sourceWords } from '../kit/kernel-source.js';
import { Progress } from '../kit/terminal.js';

interface UnattributedOptions extends AnswerOptions {
  readonly limit?: number;
}

/** Prints groups of unattributed pages. @throws {UsageError} */
export async function showUnattributed(options: UnattributedOptions): Promise<void> {
  if (options.engine === 'crash' || options.engine === 'verify')
    throw new UsageError('--unattributed does not support --engine crash or verify');
  if (options.live)
    throw new UsageError('--unattributed needs a dump: the memory of a running kernel changes');
  const kernel = await openNativeSource(options);
  const progress = new Progress();
  try {
    const answer = await describeUnattributed(kernel, kernel.symbolTable, (doing) =>
      progress.of(doing),
    );
    progress.clear();
    const { limit = 20 } = options;
    present(answer, options, {
      toJson: unattributedJson,
      toText: (found, width) => unattributedText(found, { limit, width }, sourceWords(options)),
    });
  } finally {
    progress.clear();
    kernel.close();
  }
}
