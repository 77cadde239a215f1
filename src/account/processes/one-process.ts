import type { Kernel } from '../../kernel/kernel.js';
import { Warnings } from '../../walk/warnings.js';
import { codeOf } from '../memory/missed.js';
import { surveyProcesses } from './kernel.js';
import { mappingsOf, type ProcessAnswer } from './mappings.js';
import { onlyOne, type ProcessFigures } from './process.js';

/**
 * One process of a dump, and its mappings.
 *
 * @throws {WalkError} `no-such-pid`; and as surveyProcesses
 */
export function kernelProcess(
  kernel: Kernel,
  select: (process: ProcessFigures) => boolean,
  progress: (part: number) => void = () => {},
): ProcessAnswer {
  const survey = surveyProcesses(kernel, progress);
  const { answer, spaces } = survey;
  const process = onlyOne(answer.processes, select);
  const space = spaces[answer.processes.indexOf(process)]!;
  const warnings = new Warnings();
  for (const { code, message } of answer.warnings) warnings.add(code, message);
  let mappings: ProcessAnswer['mappings'] = [];
  try {
    mappings = mappingsOf(kernel, space, survey, warnings);
  } catch (error) {
    warnings.add(codeOf(error), `mappings of pid ${process.pid}: ${(error as Error).message}`);
  }
  return {
    kernel: kernel.facts,
    process,
    mappings,
    warnings: warnings.list(),
    complete: answer.complete && warnings.complete,
  };
}
