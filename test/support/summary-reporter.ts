import { writeFileSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';
import type { Reporter, TestModule } from 'vitest/node';

/** Files that a result keeps the time of. */
const SLOWEST = 40;

/**
 * Ends a run with the plain line that continuous integration reads, `N passed, N failed`, or writes these counts to the
 * file that scripts/test names.
 */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: ReadonlyArray<TestModule>, unhandled: ReadonlyArray<unknown>): void {
    let passed = 0;
    let failed = unhandled.length;
    const skipped: string[] = [];
    const failures = unhandled.map((error) => `outside the tests: ${firstLine(error)}`);
    const slowest = modules
      .map((module) => ({
        file: module.relativeModuleId,
        seconds: Math.round(module.diagnostic().duration / 100) / 10,
      }))
      .toSorted((a, b) => b.seconds - a.seconds)
      .slice(0, SLOWEST);
    for (const module of modules) {
      const fail = (name: string, errors: ReadonlyArray<unknown>) => {
        failures.push(`${module.relativeModuleId} > ${name}: ${firstLine(errors[0])}`);
      };
      failed += module.errors().length;
      if (module.errors().length > 0) fail('file', module.errors());
      for (const test of module.children.allTests()) {
        const { state, errors = [] } = test.result();
        if (state === 'passed') passed++;
        else if (state === 'failed') {
          failed++;
          fail(test.fullName, errors);
        } else skipped.push(test.fullName);
      }
      for (const suite of module.children.allSuites()) {
        failed += suite.errors().length;
        if (suite.errors().length > 0) fail(suite.fullName, suite.errors());
      }
    }
    const file = process.env.KDUMP_MEM_TEST_COUNTS;
    if (file !== undefined) {
      writeFileSync(file, JSON.stringify({ passed, failed, skipped, failures, slowest }));
      return;
    }
    for (const name of skipped) process.stdout.write(`skipped: ${name}\n`);
    const tail = skipped.length > 0 ? `, ${skipped.length} skipped` : '';
    process.stdout.write(`${passed} passed, ${failed} failed${tail}\n`);
  }
}

function firstLine(error: unknown): string {
  const { message = String(error) } = (error ?? {}) as { message?: string };
  return stripVTControlCharacters(message.split('\n')[0] ?? '').slice(0, 300);
}
