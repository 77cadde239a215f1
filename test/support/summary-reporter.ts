import { writeFileSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';

/**
 * Ends a run with the plain line that continuous integration reads, `N passed, N failed`, or writes these counts to the
 * file that scripts/test names.
 */
export default class SummaryReporter implements Reporter {
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
    const file = process.env.KDUMP_MEM_TEST_COUNTS;
    if (file !== undefined) {
      writeFileSync(file, JSON.stringify({ passed, failed, skipped }));
      return;
    }
    for (const name of skipped) process.stdout.write(`skipped: ${name}\n`);
    const tail = skipped.length > 0 ? `, ${skipped.length} skipped` : '';
    process.stdout.write(`${passed} passed, ${failed} failed${tail}\n`);
  }
}
