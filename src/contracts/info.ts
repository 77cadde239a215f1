import { z } from 'zod';
import { KERNEL_ERROR_CODES, READ_ERROR_CODES, WALK_ERROR_CODES } from '../base/errors.js';
import type { Immutable } from '../base/util.js';
import { VENDOR_NAMES, type VendorCode } from '../records/vendors.js';
import { address, count, kernelSchema } from './common.js';

/** The task that a CPU was running; pid 0: the idle task. `comm` has at most 15 bytes. */
const task = z.strictObject({ cpu: count, address, pid: count, comm: z.string() });

const notFoundCode = z.enum([...KERNEL_ERROR_CODES, ...READ_ERROR_CODES]);

/** A required part with its origin, or why it was not found. */
const source = z.union([
  z.strictObject({ found: z.literal(true), source: z.string(), detail: z.string() }),
  z.strictObject({ found: z.literal(false), code: notFoundCode, why: z.string() }),
]);

/** `kdump-mem info --json`. Unknown fields are null, and `missing` lists the reasons. Text is untrusted. */
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
        .strictObject({ mask: address, flags: z.array(z.strictObject({ letter: z.string(), words: z.string() })) })
        .nullable(),
      processes: z.strictObject({ user: count, kernel: count }).nullable(),
      modules: z.strictObject({ names: z.array(z.string()), withTypes: count.nullable() }).nullable(),
      sources: z.strictObject({
        vmcoreinfo: z.enum(['note', 'memory']),
        symbols: source,
        types: source,
        /**
         * How a file’s types were matched to the dump’s kernel; null for the dump’s own types. `layouts`: by the sizes
         * and offsets in VMCOREINFO. `none`: nothing could be compared.
         */
        typesVerified: z.enum(['build-id', 'banner', 'release', 'layouts', 'none']).nullable(),
        directMap: source,
        pages: source,
        anomalies: z.array(z.string()),
      }),
      /**
       * Parts of answers that this kernel's types or symbols do not support: `command` omits them, or does
       * not work at all. Null without types.
       */
      limits: z
        .array(
          z.strictObject({
            command: z.string(),
            part: z.string(),
            code: z.enum(['unsupported-layout', 'no-symbols']),
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

export type InfoAnswer = Immutable<z.output<typeof infoSchema>>;
type InfoKernel = NonNullable<InfoAnswer['kernel']>;
/** Properties of a dump that are known without interpreting its memory. */
export type DumpFacts = InfoAnswer['dump'];
export type Vendor = NonNullable<InfoAnswer['vendor']>;
/** Time of a dump, and uptime of the kernel. */
export type DumpTime = NonNullable<InfoAnswer['time']>;
export type RunningTask = InfoKernel['running'][number];
export type TypesVerified = NonNullable<InfoKernel['sources']['typesVerified']>;
/** Part that a command omits because this kernel’s types or symbols do not support it. */
export type Limit = NonNullable<InfoKernel['limits']>[number];
