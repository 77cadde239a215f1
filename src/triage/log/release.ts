/** Suffixes of distributions in kernel releases; the first match wins. */
const DISTRIBUTIONS: readonly (readonly [RegExp, string])[] = [
  [/\.el(\d+)uek/, 'Oracle Linux $1 (UEK)'],
  [/\.el(\d+)/, 'RHEL $1 or a rebuild'],
  [/\.fc(\d+)/, 'Fedora $1'],
  [/\.amzn(\d+)/, 'Amazon Linux $1'],
  [/\.azl(\d+)/, 'Azure Linux $1'],
  [/\.oe(\d{4})/, 'openEuler $1'],
  [/\.an(\d+)/, 'Anolis OS $1'],
  [/-(?:arch\d|ARCH\b|zen\d+-)/, 'Arch Linux'],
  [/-\d+-(?:generic|lowlatency)\b/, 'Ubuntu'],
  [/^\d+\.\d+\.\d+-\d{4,}-(aws|azure|gcp|kvm|oracle|raspi)\b/, 'Ubuntu ($1)'],
  [/-pve\b/, 'Proxmox VE'],
  [/-MANJARO\b/, 'Manjaro'],
  [/-gentoo\b/, 'Gentoo'],
  [/-\d+(?:\.\d+)*-(?:default|preempt)$|-\d+(?:\.\d+)+-azure$/, 'SUSE'],
  [/\+(?:deb|bpo)\d+|-(?:\d+|0\.\w+\.\d+)-(?:cloud-|rt-)?(?:[34568]86|amd64|arm64|armmp)/, 'Debian'],
];

/** Architectures by words in releases, and by registers and stack traces. */
const ARCHITECTURES: readonly (readonly [RegExp, string])[] = [
  [/x86_64|amd64|^RIP: |^entry_SYSCALL_64/m, 'x86_64'],
  [/aarch64|arm64|^el0t?_64_sync/m, 'arm64'],
  [/i[3-6]86|-[56]86\b|^EIP: /m, 'x86'],
  [/s390x|^Krnl PSW/m, 's390x'],
  [/ppc64le|powerpc64le/, 'ppc64le'],
  [/riscv64/, 'riscv64'],
];

const named = (names: typeof DISTRIBUTIONS, text: string): string | null => {
  for (const [form, name] of names) {
    const match = form.exec(text);
    if (match) return name.replace('$1', match[1] ?? '');
  }
  return null;
};

/**
 * Distribution and architecture of a kernel by its release, and by lines of a report, since some releases do
 * not name them. Null: unknown.
 */
export function buildOf(release: string | null, lines: readonly string[]) {
  return {
    distribution: named(DISTRIBUTIONS, release ?? ''),
    architecture: named(ARCHITECTURES, [release, ...lines].join('\n')),
  };
}
