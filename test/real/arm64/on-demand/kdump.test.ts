import { KDUMP_FORMATS, type KdumpFormat, labKdump, labVmcore } from '../../../support/lab.js';
import { arm64KdumpSuite } from '../suite.js';

// Real kdumps of guests that panicked. In /proc/vmcore the image's segment overlaps memory's.
arm64KdumpSuite(
  '6.1-arm64',
  Object.fromEntries(
    (Object.keys(KDUMP_FORMATS) as KdumpFormat[]).map((format) => [
      format,
      () => labKdump('6.1-arm64').formats[format],
    ]),
  ),
);
// makedumpfile does not support this kernel, and copies the dump.
arm64KdumpSuite('6.12-arm64', { elf: () => [labVmcore('6.12-arm64').elf] });
