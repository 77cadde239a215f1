import { z } from 'zod';
import { KERNEL_ERROR_CODES, READ_ERROR_CODES } from '../../base/errors/kernel.js';
import { WALK_ERROR_CODES } from '../../base/errors/walk.js';
import { TYPES_VERIFIED } from '../../kernel/symbol-file.js';
import { LIMIT_CODES } from '../../walk/limits.js';
import { VENDOR_NAMES, type VendorCode } from '../../walk/machine/vendor.js';
import { kernelSchema } from '../schema.js';

const count = z.int().nonnegative();
const address = z.string().regex(/^0x[0-9a-f]{1,16}$/);
const task = z.strictObject({ cpu: count, address, pid: count, comm: z.string() });

const notFoundCode = z.enum([...KERNEL_ERROR_CODES, ...READ_ERROR_CODES]);

/** A part of what is needed, and where it was found; or why it was not. */
const found = z.union([
  z.strictObject({ found: z.literal(true), source: z.string(), detail: z.string() }),
  z.strictObject({ found: z.literal(false), code: notFoundCode, why: z.string() }),
]);

/** `kdump-mem info --json`. What could not be told is null, and `missing` says why. */
export const infoSchema = z.strictObject({
  schema: z.literal('kdump-mem.info/1'),
  dump: z.strictObject({
    files: z.array(z.strictObject({ path: z.string(), bytes: count })),
    format: z.enum(['elf', 'diskdump', 'kcore']),
    description: z.string(),
    compression: z.array(z.enum(['none', 'zlib', 'lzo', 'snappy', 'zstd'])),
    machine: z.string().nullable(),
    /** makedumpfile's -d; null where no header says it. */
    dumpLevel: z.int().nullable(),
    filtered: z.array(z.enum(['zero', 'cache', 'private-cache', 'user', 'free'])).nullable(),
    /** Bytes of memory that are stored or known to be zero. */
    storedBytes: count,
    /** False: at least so many. */
    storedExact: z.boolean(),
    live: z.boolean(),
    anomalies: z.array(z.string()),
  }),
  /** What VMCOREINFO or the header says of the kernel, whether or not it can be read. */
  noted: z.strictObject({ release: z.string().nullable(), buildId: z.string().nullable() }),
  /** Who built the kernel, by its release, version and banner; null where these do not say. */
  vendor: z
    .strictObject({
      id: z.enum(Object.keys(VENDOR_NAMES) as [VendorCode, ...VendorCode[]]),
      name: z.string(),
      /** Its line of releases, such as `EL 8.4`; null where the texts do not say. */
      stream: z.string().nullable(),
    })
    .nullable(),
  /** When it crashed, or without a crash when the dump was taken; UTC. */
  time: z
    .strictObject({
      at: z.iso.datetime(),
      from: z.enum(['crash', 'clock']),
      uptimeSeconds: z.number().nonnegative().nullable(),
    })
    .nullable(),
  /** Null where no kernel was found that can be read. */
  kernel: z
    .strictObject({
      ...kernelSchema.shape,
      version: z.string().nullable(),
      nodename: z.string().nullable(),
      machine: z.string().nullable(),
      paging: z.string(),
      cpus: z.strictObject({ online: count.nullable(), possible: count.nullable() }),
      ramBytes: count.nullable(),
      panic: z.strictObject({
        state: z.enum(['panicked', 'running', 'unknown']),
        message: z.string().nullable(),
        cause: z.string().nullable(),
        cpu: count.nullable(),
        task: task.nullable(),
      }),
      /** What each online CPU was running; the idle task has pid 0. */
      running: z.array(task),
      taint: z
        .strictObject({
          mask: address,
          flags: z.array(z.strictObject({ letter: z.string(), words: z.string() })),
        })
        .nullable(),
      processes: z.strictObject({ user: count, kernel: count }).nullable(),
      modules: z
        .strictObject({ names: z.array(z.string()), withTypes: count.nullable() })
        .nullable(),
      sources: z.strictObject({
        vmcoreinfo: z.enum(['note', 'memory']),
        symbols: found,
        types: found,
        /** What showed that a file's types are of this kernel; null where they are the dump's own. */
        typesVerified: z.enum(TYPES_VERIFIED).nullable(),
        directMap: found,
        pages: found,
        anomalies: z.array(z.string()),
      }),
      /**
       * Parts of answers that this kernel's types or symbols do not lead to: `command` answers without them, or not at all. Null
       * where there are no types.
       */
      limits: z
        .array(
          z.strictObject({
            command: z.string(),
            part: z.string(),
            code: z.enum(LIMIT_CODES),
            why: z.string(),
          }),
        )
        .nullable(),
    })
    .nullable(),
  missing: z.array(
    z.strictObject({
      what: z.string(),
      code: z.enum([...KERNEL_ERROR_CODES, ...READ_ERROR_CODES, ...WALK_ERROR_CODES]),
      why: z.string(),
    }),
  ),
});

export type InfoJson = z.infer<typeof infoSchema>;
