import type { Vendor } from '../../contracts/info.js';
import { VENDOR_NAMES, type VendorCode } from '../../records/vendors.js';

/** First builds of minor releases of EL; others of that number are errata, and all others are Stream. */
const EL_MINORS: Readonly<Record<string, readonly number[]>> = {
  7: [123, 229, 327, 514, 693, 862, 957, 1062, 1127, 1160],
  8: [80, 147, 193, 240, 305, 348, 372, 425, 477, 513, 553],
  9: [70, 162, 284, 362, 427, 503, 570, 611],
  10: [55, 124],
};
/** Rebuilders, by the host in the banner: `(mockbuild@x86-vm-09.build.eng.bos.redhat.com)`. */
const EL_BUILDERS: readonly (readonly [RegExp, VendorCode])[] = [
  [/@[\w.-]*\bredhat\.com\)/, 'redhat'],
  [/@[\w.-]*\bcentos\.org\)/, 'centos'],
  [/@[\w.-]*\b(rockylinux\.org|rocky\.lan)\)/, 'rocky'],
  [/@[\w.-]*\balmalinux\.org\)/, 'almalinux'],
  [/@[\w.-]*\boracle\.com\)/, 'oracle'],
];
/** Ubuntu and Debian releases by the kernel versions that they shipped with. */
const UBUNTU: Readonly<Record<string, string>> = {
  '4.4': '16.04',
  '4.15': '18.04',
  '5.4': '20.04',
  '5.15': '22.04',
  '6.8': '24.04',
};
const DEBIAN: Readonly<Record<string, string>> = { '4.9': '9', '4.19': '10', '5.10': '11', '6.1': '12', '6.12': '13' };
/** Oracle's Unbreakable Enterprise Kernels. */
const UEK: Readonly<Record<string, string>> = {
  '4.1': 'UEK R4',
  '4.14': 'UEK R5',
  '5.4': 'UEK R6',
  '5.15': 'UEK R7',
  '6.12': 'UEK R8',
};

/**
 * Vendors by the suffix of the release: the first match wins. Rebuilds that keep a part of another vendor's
 * name precede that vendor.
 */
const BY_RELEASE: readonly (readonly [RegExp, VendorCode, (match: Match) => string | undefined])[] = [
  [/\.el(\d+)uek\b/, 'oracle', ({ base }) => UEK[base]],
  [/\.amzn(\d+)\b/, 'amazon', ({ groups: [n] }) => n],
  [/\.oe\w*\.bclinux\b/, 'bclinux', () => undefined],
  [/\.oe(\d\d)(\d\d)(?:sp(\d))?\b/, 'openeuler', ({ groups: [y, m, sp] }) => oe(y, m, sp)],
  [/\.oe1\b/, 'openeuler', () => '20.03'],
  [/\.(?:v(\d{4})\.)?ky(\d+)\b/, 'kylin', ({ groups: [v, n] }) => `V${n}${v ? ` (${v})` : ''}`],
  [/\.an(\d+)\b/, 'anolis', ({ groups: [n] }) => n],
  [/\.al(7|8)\b/, 'alibaba', ({ groups: [n] }) => (n === '7' ? '2' : '3')],
  [/\.(?:al|alnx)(4)\b/, 'alibaba', ({ groups: [n] }) => n],
  [/[.-](?:tl|tlinux)(\d)\b/, 'tencent', ({ groups: [n] }) => n],
  [/\.(?:cm(2)|azl(3))\b/, 'azure', ({ groups: [two, three] }) => two ?? three],
  [/\.fc(\d+)\b/, 'fedora', ({ groups: [n] }) => n],
  [/-android(\d+)-/, 'android', ({ groups: [n], base }) => `android${n}-${base}`],
  [/-(\d+)(?:\.\d+)*(?:-\w+)*\.el(\d+)(?:_(\d+))?/, 'el', el],
  [/-1([56])0(\d)00\./, 'suse', ({ groups: [n, sp] }) => sle(n, sp)],
  [/^4\.12\.14-(95|122)\./, 'suse', ({ groups: [n] }) => (n === '95' ? 'SLE 12 SP4' : 'SLE 12 SP5')],
  [/-(?:default|preempt|kvmsmall)$/, 'suse', () => undefined],
  [/-microsoft-standard/, 'wsl', () => undefined],
  [/-pve$/, 'proxmox', () => undefined],
  [/-arch\d/, 'arch', () => undefined],
  [/\+deb(\d+)\b/, 'debian', ({ groups: [n] }) => n],
  [/[.~-]deb(\d+)\b/, 'debian', ({ groups: [n] }) => n],
  [/-(?:\w+-)*(?:amd64|arm64|686|686-pae|armmp)$/, 'debian', ({ base }) => DEBIAN[base]],
  [
    /^\d+\.\d+\.0-\d+-(?:generic|lowlatency|aws|azure|gcp|gke|gkeop|ibm|kvm|nvidia|oem|oracle|raspi|realtime)\b/,
    'ubuntu',
    ({ base }) => UBUNTU[base],
  ],
  [/^\d+\.\d+\.\d+(?:-rc\d+)?\+?$/, 'mainline', ({ release }) => mainline(release)],
];

interface Match {
  readonly groups: readonly (string | undefined)[];
  /** Kernel base version, such as `4.18`. */
  readonly base: string;
  readonly release: string;
}

/**
 * Returns the vendor of a kernel; null if its strings name none, as with custom kernel names.
 *
 * @param version `uname -v`, which names Debian and Ubuntu
 * @param banner linux_banner, which names the host that built the kernel
 */
export function vendorOf(release: string, version = '', banner = ''): Vendor | null {
  const [base = ''] = /^\d+\.\d+/.exec(release) ?? [];
  const ubuntu = /^#\S*?(?:~(\d\d\.\d\d)\S*)?-Ubuntu\b/.exec(version);
  if (ubuntu) return vendor('ubuntu', ubuntu[1] ?? UBUNTU[base]);
  for (const [pattern, code, streamOf] of BY_RELEASE) {
    const match = pattern.exec(release);
    if (!match) continue;
    const stream = streamOf({ groups: match.slice(1), base, release });
    const builder = code === 'el' && EL_BUILDERS.find(([host]) => host.test(banner));
    return vendor(builder ? builder[1] : code, stream);
  }
  return / Debian \d/.test(version) ? vendor('debian', DEBIAN[base]) : null;
}

function vendor(code: VendorCode, stream: string | undefined): Vendor {
  return { id: code, name: VENDOR_NAMES[code], stream: stream ?? null };
}

function el({ groups: [build, major = '', minor] }: Match): string {
  if (minor !== undefined) return `EL ${major}.${minor}`;
  const at = EL_MINORS[major]?.indexOf(Number(build)) ?? -1;
  return at < 0 ? `EL ${major}` : `EL ${major}.${at}`;
}

function oe(year = '', month = '', pack?: string): string {
  return `${year}.${month}${pack === undefined ? '' : ` SP${pack}`}`;
}

function sle(major = '', pack = ''): string {
  return major === '16' ? `SLE 16.${pack}` : `SLE 15${pack === '0' ? '' : ` SP${pack}`}`;
}

/**
 * Returns `5.4 stable` for 5.4.286; undefined for a release candidate and for the first release of a series.
 */
function mainline(release: string): string | undefined {
  const [, base, patch] = /^(\d+\.\d+)\.(\d+)\+?$/.exec(release) ?? [];
  return base === undefined || patch === '0' ? undefined : `${base} stable`;
}
