import { z } from 'zod';
import { KERNEL_ERROR_CODES, READ_ERROR_CODES, WALK_ERROR_CODES } from '../../base/errors.js';
import type { Immutable } from '../../base/util.js';
import { addressText, count, kernelSchema } from '../../contracts/common.js';
import { TYPES_VERIFIED } from '../../kernel/layout.js';
import { LIMIT_CODES } from '../../walk/limits.js';
import { VENDOR_NAMES, type VendorCode } from '../../walk/machine/vendor.js';

const task = z.strictObject({ cpu: count, address: addressText, pid: count, comm: z.string() });

const notFoundCode = z.enum([...KERNEL_ERROR_CODES, ...READ_ERROR_CODES]);

/** A required part with its origin, or why it was not found. */
const found = z.union([
  z.strictObject({ found: z.literal(true), source: z.string(), detail: z.string() }),
  z.strictObject({ found: z.literal(false), code: notFoundCode, why: z.string() }),
]);

/** `kdump-mem info --json`. Unknown fields are null, and `missing` lists the reasons. */
export const infoSchema = z.strictObject({
  schema: z.literal('kdump-mem.info/1'),
  dump: z.strictObject({
    files: z.array(z.strictObject({ path: z.string(), bytes: count })),
    format: z.enum(['elf', 'diskdump', 'kcore']),
    description: z.string(),
    compression: z.array(z.enum(['none', 'zlib', 'lzo', 'snappy', 'zstd'])),
    machine: z.string().nullable(),
    /** Dump level (-d) of makedumpfile; null if no header contains it. */
    dumpLevel: z.int().nullable(),
    filtered: z.array(z.enum(['zero', 'cache', 'private-cache', 'user', 'free'])).nullable(),
    /** Bytes of memory that are stored, or known to be zero. */
    storedBytes: count,
    /** False: `storedBytes` is a lower bound. */
    storedExact: z.boolean(),
    live: z.boolean(),
    anomalies: z.array(z.string()),
  }),
  /** Kernel according to VMCOREINFO or the header, even if its memory cannot be read. */
  noted: z.strictObject({ release: z.string().nullable(), buildId: z.string().nullable() }),
  /** Vendor of the kernel, from its release, version and banner; null if unknown. */
  vendor: z
    .strictObject({
      id: z.enum(Object.keys(VENDOR_NAMES) as [VendorCode, ...VendorCode[]]),
      name: z.string(),
      /** Release stream, such as `EL 8.4`; null if these texts do not contain it. */
      stream: z.string().nullable(),
    })
    .nullable(),
  /** Time of the crash, or of the dump if there was no crash; UTC. */
  time: z
    .strictObject({
      at: z.iso.datetime(),
      from: z.enum(['crash', 'clock']),
      uptimeSeconds: z.number().nonnegative().nullable(),
    })
    .nullable(),
  /** Null if no readable kernel was found. */
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
      /** Running task of each online CPU; pid 0 is the idle task. */
      running: z.array(task),
      taint: z
        .strictObject({ mask: addressText, flags: z.array(z.strictObject({ letter: z.string(), words: z.string() })) })
        .nullable(),
      processes: z.strictObject({ user: count, kernel: count }).nullable(),
      modules: z.strictObject({ names: z.array(z.string()), withTypes: count.nullable() }).nullable(),
      sources: z.strictObject({
        vmcoreinfo: z.enum(['note', 'memory']),
        symbols: found,
        types: found,
        /** How a file's types were verified; null for the dump's own types. */
        typesVerified: z.enum(TYPES_VERIFIED).nullable(),
        directMap: found,
        pages: found,
        anomalies: z.array(z.string()),
      }),
      /**
       * Parts of answers that this kernel's types or symbols do not support: `command` omits them, or does
       * not work at all. Null without types.
       */
      limits: z
        .array(z.strictObject({ command: z.string(), part: z.string(), code: z.enum(LIMIT_CODES), why: z.string() }))
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

export type InfoJson = Immutable<z.input<typeof infoSchema>>;
