import { IN_BOTH } from '../../records/meminfo-lines.js';

/** Texts of files, by name. */
export interface NamedTexts {
  get(name: string): string | undefined;
  names(): string[];
}

/** The page size as in the auxiliary vector: AT_PAGESZ. */
export function auxvOf(pageSize: number | null): Buffer | undefined {
  if (pageSize === null) return undefined;
  const auxv = Buffer.alloc(16);
  auxv.writeBigUInt64LE(6n, 0);
  auxv.writeBigUInt64LE(BigInt(pageSize), 8);
  return auxv;
}

/** Architectures with a single page size. */
const ALWAYS_4K = /(?:\b|_)(?:x86_64|amd64|i[3-6]86|s390x)\b/;

/** Base page sizes of supported architectures. */
const PAGE_SIZES = [4096, 16_384, 65_536];

/** Counters of two files may differ by this factor, and still show the page size. */
const MAX_APART = 1.6;

/**
 * Page size of the host: reported, by its architecture, or by counters that are in kB in one file and in pages in
 * another. Null: unknown.
 */
export function pageSizeOf(captured: NamedTexts): number | null {
  const text = (name: string) => captured.get(name) ?? '';
  const [getconf = ''] = captured.names().filter((name) => name.endsWith('/getconf_-a'));
  const reported = /^(?:PAGE_?SIZE +)?(\d{4,6})$/m.exec(text(getconf))?.[1];
  if (reported !== undefined) return Number(reported);
  const kernel = ['sos_commands/kernel/uname_-a', 'proc/sys/kernel/osrelease', 'proc/version'].map(text).join('\n');
  if (ALWAYS_4K.test(kernel)) return 4096;
  const [meminfo, vmstat, zoneinfo] = [text('proc/meminfo'), text('proc/vmstat'), text('proc/zoneinfo')];
  const kibOf = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d{1,13}) kB`, 'm').exec(meminfo)?.[1] ?? 0);
  let [kib, pages] = [0, 0];
  for (const [line, name] of IN_BOTH) {
    const counted = Number(new RegExp(`^${name} (\\d{1,13})$`, 'm').exec(vmstat)?.[1] ?? 0);
    if (counted > 0 && kibOf(line) > 0) [kib, pages] = [kib + kibOf(line), pages + counted];
  }
  const present = [...zoneinfo.matchAll(/^ +present +(\d{1,13})$/gm)].reduce(
    (sum, [, count]) => sum + Number(count),
    0,
  );
  if (pages === 0) [kib, pages] = [kibOf('MemTotal'), present];
  const size = (kib * 1024) / pages;
  return PAGE_SIZES.find((known) => size < known * MAX_APART && known < size * MAX_APART) ?? null;
}
