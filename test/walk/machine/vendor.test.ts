import { expect, test } from 'vitest';
import { vendorOf } from '../../../src/walk/machine/vendor.js';

/** Releases of the kernels of these vendors, with versions and builders where they matter. */
test.each([
  ['4.18.0-147.5.1.el8_1.aarch64', '', '', 'el', 'EL 8.1'],
  ['4.18.0-305.el8.x86_64', '', '', 'el', 'EL 8.4'],
  ['4.18.0-305.12.1.el8_4.x86_64', '', '(mockbuild@x86-vm-07.build.eng.bos.redhat.com)', 'redhat', 'EL 8.4'],
  ['4.18.0-240.10.1.el8_3.x86_64', '', '(mockbuild@kbuilder.bsys.centos.org)', 'centos', 'EL 8.3'],
  ['5.14.0-427.13.1.el9_4.x86_64', '', '(mockbuild@iad1-prod-build001.bld.equ.rockylinux.org)', 'rocky', 'EL 9.4'],
  ['4.18.0-553.16.1.el8_10.x86_64', '', '', 'el', 'EL 8.10'],
  // A build of CentOS Stream: without a minor release.
  ['5.14.0-391.el9.x86_64', '', '', 'el', 'EL 9'],
  ['3.10.0-1127.19.1.el7.x86_64', '', '', 'el', 'EL 7.8'],
  ['6.12.0-55.9.1.el10_0.x86_64', '', '', 'el', 'EL 10.0'],
  ['5.4.17-2136.330.7.5.el8uek.x86_64', '', '', 'oracle', 'UEK R6'],
  ['4.14.348-265.565.amzn2.x86_64', '', '', 'amazon', '2'],
  ['6.1.79-99.164.amzn2023.x86_64', '', '', 'amazon', '2023'],
  ['4.15.0-1054-aws', '', '', 'ubuntu', '18.04'],
  ['5.4.0-1067-gke', '#71-Ubuntu SMP Wed Nov 16 2022', '', 'ubuntu', '20.04'],
  ['5.15.0-91-generic', '#101~20.04.1-Ubuntu SMP Thu Nov 16 2023', '', 'ubuntu', '20.04'],
  ['6.5.0-14-generic', '#14-Ubuntu SMP PREEMPT_DYNAMIC', '', 'ubuntu', undefined],
  ['6.1.0-39-cloud-amd64', '#1 SMP PREEMPT_DYNAMIC Debian 6.1.148-1 (2025-08-26)', '', 'debian', '12'],
  ['6.12.43+deb13-cloud-amd64', '', '', 'debian', '13'],
  ['6.1.0-0.deb11.13-amd64', '', '', 'debian', '11'],
  ['7.2-cloud-arm64', '#1 SMP Debian 7.2.1-1 (2026-11-01)', '', 'debian', undefined],
  ['5.14.21-150400.24.100-default', '', '', 'suse', 'SLE 15 SP4'],
  ['4.12.14-122.37-default', '', '', 'suse', 'SLE 12 SP5'],
  ['6.4.0-150600.21-default', '', '', 'suse', 'SLE 15 SP6'],
  ['6.7.4-1-default', '', '', 'suse', undefined],
  ['4.19.91-26.al7.x86_64', '', '', 'alibaba', '2'],
  ['5.10.134-16.1.al8.x86_64', '', '', 'alibaba', '3'],
  ['5.10.134-13.an8.x86_64', '', '', 'anolis', '8'],
  ['4.19.90-2107.6.0.0248.35.oe1.bclinux.x86_64', '', '', 'bclinux', undefined],
  ['4.19.90-2107.6.0.0100.oe1.aarch64', '', '', 'openeuler', '20.03'],
  ['5.10.0-136.12.0.86.oe2203sp1.x86_64', '', '', 'openeuler', '22.03 SP1'],
  ['4.19.90-52.22.v2207.ky10.aarch64', '', '', 'kylin', 'V10 (2207)'],
  ['4.19.90-25.41.v2101.ky10.aarch64', '', '', 'kylin', 'V10 (2101)'],
  ['5.10.101-android13-4-00003-g1a2b3c4d5e6f-ab8943351', '', '', 'android', 'android13-5.10'],
  ['5.4.119-19-0009.tl3', '', '', 'tencent', '3'],
  ['6.6.51.1-5.azl3', '', '', 'azure', '3'],
  ['6.8.9-300.fc40.x86_64', '', '', 'fedora', '40'],
  ['5.15.167.4-microsoft-standard-WSL2', '', '', 'wsl', undefined],
  ['5.4.286', '', '', 'mainline', '5.4 stable'],
  ['6.12.0-rc3+', '', '', 'mainline', undefined],
  ['4.18.0', '', '', 'mainline', undefined],
  ['6.1.0-39-cloud-arm64', '', '', 'debian', '12'],
])('%s %s', (release, version, banner, code, stream) => {
  expect([vendorOf(release, version, banner)].map((one) => [one?.id, one?.stream])).toEqual([[code, stream ?? null]]);
});

test.each(['', '5.4.0-mine', '4.19.0-custom.1', '6.6.30-gentoo', '\n'])(
  'finds no vendor in the custom name %j',
  (release) => {
    expect(vendorOf(release, '#1 SMP PREEMPT')).toBeNull();
  },
);
