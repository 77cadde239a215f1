import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

/**
 * The fields of a manifest in deploy/kubernetes that affect how a runtime starts its one container.
 */
export interface PodManifest {
  readonly hostPID?: boolean;
  readonly hostNetwork?: boolean;
  readonly container: {
    readonly command: readonly string[];
    readonly args: readonly string[];
    readonly volumeMounts?: readonly { readonly mountPath: string; readonly readOnly?: boolean }[];
    readonly securityContext: {
      readonly runAsUser: number;
      readonly readOnlyRootFilesystem: boolean;
      readonly allowPrivilegeEscalation?: boolean;
      readonly seccompProfile: { readonly type: string };
      readonly capabilities: { readonly drop: readonly string[]; readonly add: readonly string[] };
    };
  };
}

export function podOf(file: string): PodManifest {
  const { spec } = parse(readFileSync(file, 'utf8')).spec.template;
  return { ...spec, container: spec.containers[0] };
}

export interface Run {
  /** The image's files. */
  readonly root: string;
  readonly args: readonly string[];
  /** A capability to drop: `SYS_ADMIN`. */
  readonly without?: string;
  /** Folders of this machine by their mount points. */
  readonly volumes?: Readonly<Record<string, string>>;
}

/** Files in /proc that containerd hides or makes read-only. */
const MASKED = ['kcore', 'keys', 'latency_stats', 'timer_list', 'sched_debug', 'scsi', 'acpi'];
const READONLY = ['bus', 'fs', 'irq', 'sys', 'sysrq-trigger'];

/** The OCI runtime configuration that kubelet and a container runtime would create. */
export function ociConfig(pod: PodManifest, run: Run): object {
  const { securityContext: context, volumeMounts = [] } = pod.container;
  if (context.capabilities.drop[0] !== 'ALL') throw new Error('only what drops ALL is known here');
  if (context.seccompProfile.type !== 'RuntimeDefault') throw new Error('only RuntimeDefault is known here');
  const held = context.capabilities.add.filter((name) => name !== run.without).map((name) => `CAP_${name}`);
  const bind = (destination: string, source: string, ...options: string[]) => {
    return { destination, source, type: 'bind', options: ['rbind', ...options] };
  };
  const namespaces = ['mount', 'ipc', 'uts'];
  if (!pod.hostPID) namespaces.push('pid');
  if (!pod.hostNetwork) namespaces.push('network');
  return {
    ociVersion: '1.0.0',
    process: {
      user: { uid: context.runAsUser, gid: 0 },
      args: run.args,
      env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'],
      cwd: '/',
      capabilities: { bounding: held, effective: held, permitted: held },
      noNewPrivileges: context.allowPrivilegeEscalation === false,
    },
    root: { path: run.root, readonly: context.readOnlyRootFilesystem },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec'] },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755'] },
      bind('/sys', '/sys', 'ro'),
      ...volumeMounts.flatMap(({ mountPath, readOnly }) => {
        const source = run.volumes?.[mountPath];
        return source === undefined ? [] : [bind(mountPath, source, readOnly ? 'ro' : 'rw')];
      }),
    ],
    linux: {
      namespaces: namespaces.map((type) => ({ type })),
      maskedPaths: [...MASKED.map((name) => `/proc/${name}`), '/sys/firmware'],
      readonlyPaths: READONLY.map((name) => `/proc/${name}`),
      seccomp: seccompFor(held),
    },
  };
}

/** The default profile of Podman and CRI-O, whose rules depend on capabilities and architecture. */
const PROFILE = '/usr/share/containers/seccomp.json';
const ARCHITECTURE = 'amd64';

interface ProfileRule {
  readonly names: readonly string[];
  readonly action: string;
  readonly args?: readonly object[] | null;
  readonly errnoRet?: number;
  readonly includes?: When;
  readonly excludes?: When;
}
interface When {
  readonly caps?: readonly string[];
  readonly arches?: readonly string[];
}

function seccompFor(held: readonly string[]): object {
  const profile = JSON.parse(readFileSync(PROFILE, 'utf8')) as {
    readonly defaultAction: string;
    readonly defaultErrnoRet: number;
    readonly syscalls: readonly ProfileRule[];
  };
  const applies = ({ includes = {}, excludes = {} }: ProfileRule) =>
    (includes.caps ?? []).every((name) => held.includes(name)) &&
    (includes.arches ?? [ARCHITECTURE]).includes(ARCHITECTURE) &&
    !(excludes.caps ?? []).some((name) => held.includes(name)) &&
    !(excludes.arches ?? []).includes(ARCHITECTURE);
  return {
    defaultAction: profile.defaultAction,
    defaultErrnoRet: profile.defaultErrnoRet,
    architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86'],
    syscalls: profile.syscalls
      .filter(applies)
      .map(({ names, action, args, errnoRet }) => ({
        names,
        action,
        ...(args?.length ? { args } : {}),
        ...(errnoRet === undefined ? {} : { errnoRet }),
      })),
  };
}
