import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { SUITES } from '../../scripts/test-parts/suites.mjs';

/**
 * Starts the files first that a suite declares as its longest: begun last, one of them would run alone. Vitest knows only
 * the size of a file that it never ran.
 */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return SUITES.flatMap(({ name, first = [] }) => {
      const own = sorted.filter(({ project }) => project.name === name);
      const isFirst = ({ moduleId }: TestSpecification) => first.some((file) => moduleId.endsWith(`/${file}`));
      return [...own.filter(isFirst), ...own.filter((each) => !isFirst(each))];
    });
  }
}
