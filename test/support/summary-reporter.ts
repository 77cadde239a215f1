import type { Reporter, TestModule, Vitest } from 'vitest/node';
import { isolated } from './isolated.js';

/** Ends a run with the plain line that continuous integration reads: `N passed, N failed`. */
export default class SummaryReporter implements Reporter {
  /** Tests that look at this machine run in namespaces of their own. */
  onInit({ projects }: Vitest): void {
    for (const { name, config } of projects)
      if (name === 'machine') Object.assign(config, { pool: isolated.name, poolRunner: isolated });
  }

  onTestRunEnd(modules: ReadonlyArray<TestModule>, unhandled: ReadonlyArray<unknown>): void {
    let passed = 0;
    let failed = unhandled.length;
    const skipped: string[] = [];
    for (const module of modules) {
      failed += module.errors().length;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'passed') passed++;
        else if (state === 'failed') failed++;
        else skipped.push(test.fullName);
      }
      for (const suite of module.children.allSuites()) failed += suite.errors().length;
    }
    for (const name of skipped) process.stdout.write(`skipped: ${name}\n`);
    const tail = skipped.length > 0 ? `, ${skipped.length} skipped` : '';
    process.stdout.write(`${passed} passed, ${failed} failed${tail}\n`);
  }
}
