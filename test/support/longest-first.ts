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
      const rank = ({ moduleId }: TestSpecification) => {
        const index = first.findIndex((file) => moduleId.endsWith(`/${file}`));
        return index < 0 ? first.length : index;
      };
      return sorted.filter(({ project }) => project.name === name).toSorted((a, b) => rank(a) - rank(b));
    });
  }
}
