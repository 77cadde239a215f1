import { expect, test } from 'vitest';
import { openNative } from '../../../src/kernel/native/open.js';
import { triage } from '../../../src/triage/triage.js';
import { LAB_DUMPS, labDump, labVmcore } from '../../support/lab.js';

/** Codes above a note, without those of readers that the scenario makes stop: these are true. */
function grave(file: string, roles: readonly { pid: number; fd: number; bytes: number | null }[]) {
  const kernel = openNative({ files: [file] });
  try {
    return triage(kernel)
      .findings.filter(({ severity }) => severity !== 'note')
      .filter(({ code, figures: { pid, fd } }) => {
        const isOfScenario = roles.some((one) => one.pid === pid && one.fd === fd);
        return !(code === 'stalled-reader' && isOfScenario);
      })
      .map(({ code, evidence }) => ({ code, evidence: evidence[0] }));
  } finally {
    kernel.close();
  }
}

test.each([...LAB_DUMPS, '6.12-arm64-16k'] as const)(
  '%s: of a guest that nothing happened to nothing is told but notes',
  (name) => {
    const { elf, truth } = labDump(name);
    expect(grave(elf, truth.roles)).toEqual([]);
  },
);

test.each(['5.10', '6.1', '6.12', 'newest'] as const)(
  '%s: of a guest that was made to panic the panic alone',
  (name) => {
    const { elf, truth } = labVmcore(name);
    expect(grave(elf, truth.roles).map(({ code }) => code)).toEqual(['panic']);
  },
);
