/** The text of a VMCOREINFO note; addresses are in the kernel's format. */
export function vmcoreinfoText(fields: {
  readonly release?: string;
  readonly buildId?: string;
  /** By default 4096. */
  readonly pageSize?: number;
  readonly kernelOffset?: bigint;
  readonly symbols?: Readonly<Record<string, bigint>> | ReadonlyMap<string, bigint>;
  readonly numbers?: Readonly<Record<string, bigint>>;
  readonly sizes?: Readonly<Record<string, number>>;
  readonly offsets?: Readonly<Record<string, number>>;
  readonly lengths?: Readonly<Record<string, number>>;
}): string {
  const symbols = fields.symbols instanceof Map ? [...fields.symbols] : Object.entries(fields.symbols ?? {});
  const lines = [
    `OSRELEASE=${fields.release ?? '6.1.0-synthetic'}`,
    ...(fields.buildId === undefined ? [] : [`BUILD-ID=${fields.buildId}`]),
    `PAGESIZE=${fields.pageSize ?? 4096}`,
    ...symbols.map(([name, address]) => `SYMBOL(${name})=${address.toString(16)}`),
    ...Object.entries(fields.sizes ?? {}).map(([name, size]) => `SIZE(${name})=${size}`),
    ...Object.entries(fields.offsets ?? {}).map(([name, offset]) => `OFFSET(${name})=${offset}`),
    ...Object.entries(fields.lengths ?? {}).map(([name, length]) => `LENGTH(${name})=${length}`),
    ...Object.entries(fields.numbers ?? {}).map(([name, number]) => `NUMBER(${name})=${number}`),
    ...(fields.kernelOffset === undefined ? [] : [`KERNELOFFSET=${fields.kernelOffset.toString(16)}`]),
  ];
  return `${lines.join('\n')}\n`;
}
