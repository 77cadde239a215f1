import { HostError, hostOrNull } from '../../base/errors.js';
import type { Balloon, BalloonDriver } from '../../records/named-memory.js';
import type { HostSource } from '../host-source.js';

/** Bytes of a page in counts of Hyper-V (HV_HYP_PAGE_SIZE), and of VMware (4 KiB alone). */
const HYPERVISOR_PAGE = 4096;

const VIRTIO = '/sys/bus/virtio/drivers/virtio_balloon';
const XEN = '/sys/devices/system/xen_memory/xen_memory0';
const HYPER_V = '/sys/kernel/debug/hv-balloon';
const VMWARE = '/sys/kernel/debug/vmmemctl';
/** VIRTIO_BALLOON_F_DEFLATE_ON_OOM of linux/virtio_balloon.h: with it, the driver leaves MemTotal alone. */
const DEFLATE_ON_OOM = 2;

type Reported = Pick<Balloon, 'driver' | 'isInTotal' | 'targetBytes'> & { readonly bytes: number | null };

/**
 * Memory in the balloon of a guest; undefined: no driver or counter shows one.
 *
 * - Balloon of /proc/meminfo since 6.16 (NR_BALLOON_PAGES); balloon_inflate less balloon_deflate of /proc/vmstat for
 * drivers that use mm/balloon_compaction.c (virtio, VMware since 5.4).
 * - Hyper-V: pages_ballooned of debugfs (hv_balloon_debug_show of drivers/hv/hv_balloon.c, since 5.19).
 * - VMware: current of debugfs (vmballoon_debug_show of drivers/misc/vmw_balloon.c). Reading it begins to collect
 * statistics in the driver, so it is read only where the other counters have nothing: before 5.4 they lack its pages.
 * - Xen: low_kb and high_kb (drivers/xen/xen-balloon.c), which MemTotal excludes (balloon_append).
 *
 * @param meminfo lines of /proc/meminfo, in bytes
 * @param vmstat text of /proc/vmstat; empty: not read
 * @throws {HostError} `unreadable`: a counter is malformed
 */
export function readBalloon(
  source: HostSource,
  meminfo: ReadonlyMap<string, number>,
  vmstat: string,
  pageSize: number,
): Balloon | undefined {
  const counters: (readonly [source: string, bytes: number])[] = [];
  const counted = meminfo.get('Balloon');
  if (counted !== undefined) counters.push(['/proc/meminfo', counted]);
  const [inflated, deflated] = ['inflate', 'deflate'].map((name) => figureOf(vmstat, `^balloon_${name} (\\d{1,15})$`));
  if (inflated != null && deflated != null) {
    if (deflated > inflated)
      throw new HostError(
        'unreadable',
        `/proc/vmstat: balloon_deflate ${deflated} exceeds balloon_inflate ${inflated}`,
      );
    counters.push(['/proc/vmstat', (inflated - deflated) * pageSize]);
  }
  const driver = driverOf(
    source,
    counters.some(([, bytes]) => bytes > 0),
  );
  if (driver?.bytes != null) counters.push([driver.source, driver.bytes]);
  // A counter of another driver stays 0.
  const used = counters.filter(([, bytes]) => bytes > 0).toSorted((a, b) => b[1] - a[1]);
  const [most] = used.length > 0 ? used : counters;
  if (!most || (most[1] === 0 && !driver)) return undefined;
  const { driver: name = null, isInTotal = null, targetBytes = null } = driver ?? {};
  return { driver: name, bytes: most[1], least: used.at(-1)?.[1] ?? 0, isInTotal, source: most[0], targetBytes };
}

/** The driver by its own files; undefined: none is visible. */
function driverOf(source: HostSource, isCounted: boolean): (Reported & { readonly source: string }) | undefined {
  const text = (path: string) => hostOrNull(() => source.readText(path));
  const low = text(`${XEN}/info/low_kb`);
  if (low !== null) {
    const [lowKb, highKb] = [low, text(`${XEN}/info/high_kb`) ?? ''].map((value) => figureOf(value, '^(\\d{1,15})$'));
    if (lowKb == null || highKb == null) throw new HostError('unreadable', `malformed ${XEN}/info`);
    return {
      driver: 'xen_balloon',
      bytes: (lowKb + highKb) * 1024,
      isInTotal: false,
      targetBytes: null,
      source: `${XEN}/info`,
    };
  }
  const hyperV = text(HYPER_V);
  if (hyperV !== null) {
    const pages = figureOf(hyperV, '^pages_ballooned *: (\\d{1,15})$');
    if (pages === null) throw new HostError('unreadable', `malformed ${HYPER_V}`);
    return {
      driver: 'hv_balloon',
      bytes: pages * HYPERVISOR_PAGE,
      isInTotal: null,
      targetBytes: null,
      source: HYPER_V,
    };
  }
  const devices = (hostOrNull(() => source.list(VIRTIO)) ?? []).filter((name) => /^virtio\d{1,6}$/.test(name));
  if (devices.length > 0) {
    const features = devices.map((name) => text(`${VIRTIO}/${name}/features`)?.trim());
    const known = features.every((bits) => bits !== undefined && /^[01]{8,128}$/.test(bits));
    const values = new Set(features.map((bits) => bits?.[DEFLATE_ON_OOM] === '1'));
    const isInTotal = known && values.size === 1 ? values.has(true) : null;
    return { driver: 'virtio_balloon', bytes: null, isInTotal, targetBytes: null, source: VIRTIO };
  }
  const vmware = isCounted ? null : text(VMWARE);
  if (vmware === null) return undefined;
  const [pages, target] = ['current', 'target'].map((name) => figureOf(vmware, `^${name} *: +(\\d{1,15})(?: pages)?$`));
  if (pages == null) throw new HostError('unreadable', `malformed ${VMWARE}`);
  const targetBytes = target == null ? null : target * HYPERVISOR_PAGE;
  return { driver: 'vmw_balloon', bytes: pages * HYPERVISOR_PAGE, isInTotal: null, targetBytes, source: VMWARE };
}

/** A driver that is loaded as a module; undefined: none is, or it is built in. */
export function balloonModule(source: HostSource): BalloonDriver | undefined {
  const modules = hostOrNull(() => source.readText('/proc/modules')) ?? '';
  const [, name] = /^(hv_balloon|virtio_balloon|vmw_balloon|xen_balloon) /m.exec(modules) ?? [];
  return name as BalloonDriver | undefined;
}

/** First number of a pattern in a text; null: it does not occur. */
function figureOf(text: string, form: string): number | null {
  const digits = new RegExp(form, 'm').exec(text)?.[1];
  return digits === undefined ? null : Number(digits);
}
