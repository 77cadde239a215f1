import type { Mapping, ProcessAnswer } from '../../contracts/process.js';
import type { ProcessFigures } from '../../contracts/procs.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Warnings } from '../../walk/warnings.js';
import { codeOf } from '../memory/missed.js';
import { surveyProcesses } from './kernel.js';
import { mappingsOf, processAnswer } from './mappings.js';
import { onlyOne } from './process.js';

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
  let mappings: readonly Mapping[] = [];
  try {
    mappings = mappingsOf(kernel, space, survey, warnings);
  } catch (error) {
    warnings.add(codeOf(error), `mappings of pid ${process.pid}: ${(error as Error).message}`);
  }
  const complete = answer.complete && warnings.complete;
  return processAnswer(answer, process, mappings, { complete, warnings: warnings.list() });
}
