import { type Finding, found, type LogEvidence } from '../finding.js';

/** Lines of programs that kill processes for lack of memory, and of Android's killer in the kernel. */
const KILLS: readonly { readonly killer: string; readonly line: RegExp }[] = [
  {
    killer: 'systemd-oomd',
    line: /\bsystemd-oomd\[\d+\]: Killed (?<cgroup>\/\S*) due to (?:memory pressure for (?<pressureOf>\S+) being (?<pressure>[\d.]+)% > (?<pressureLimit>[\d.]+)% for > (?<duration>\w+)|(?:memory used \((?<used>\d+)\) \/ total \((?<total>\d+)\) and )?swap used \((?<swapUsed>\d+)\) \/ total \((?<swapTotal>\d+)\))/,
  },
  {
    killer: 'earlyoom',
    line: /(?:^|\bearlyoom(?:\[\d+\])?: )(?:sending SIG\w+ to|killing) process (?<pid>\d+)(?: uid \d+)? "(?<comm>[^"]*)"(?: with signal \d+)?: (?:badness|oom_score) -?\d+, VmRSS (?<rssMib>\d+) MiB/,
  },
  {
    killer: 'lowmemorykiller',
    line: /\blowmemorykiller *: Kill(?:ing)? '(?<comm>[^']*)' \((?<pid>\d+)\)(?:, uid \d+)?, (?:oom_score_)?adj -?\d+(?: to free (?<rssKib>\d+)kB(?: rss)?(?:, (?<swapKib>\d+)kB swap)?)?(?:; reason: (?<reason>.*))?/,
  },
];

/** nohang names its victim in lines before the signal. */
const NOHANG = {
  victim: /\bPID: (?<pid>\d+), name: (?<comm>.+), badness: \d+/i,
  size: /^.{0,99}\bVmRSS: +(?<rssMib>\d+) MiB /,
  kill: /(?<tag>\bnohang(?:-desktop)?\[\d+\]: .*)?\bsend(?:ing)? SIG\w+ to (?:the )?victim/i,
};

/** Kubelet names the resource in one line, and the pods in later ones. */
const RECLAIMS =
  /eviction manager: (?:must evict pod\(s\) to reclaim|attempting to reclaim" resourceName=)[ "]*(?<resource>[\w-]+)/i;
const EVICTED =
  /eviction manager: pods? (?:evicted, waiting for pod to be cleaned up" pods=\["(?<list>[^"\]]+)|is evicted successfully" pod="(?<single>[^"]+)|(?<old>[^ ,(]+)\([^)]*\) evicted, waiting)/i;

/** Kills for lack of memory that the kernel's OOM killer did not make. */
export class KillerReader {
  #reclaims: string | undefined;
  #victim: Readonly<Record<string, string | undefined>> | undefined;

  take(text: string, evidence: () => LogEvidence): Finding | undefined {
    this.#victim = NOHANG.victim.exec(text)?.groups ?? this.#victim;
    if (this.#victim) this.#victim = { ...this.#victim, ...NOHANG.size.exec(text)?.groups };
    const sent = NOHANG.kill.exec(text);
    if (sent && (this.#victim ?? sent.groups?.tag) !== undefined) {
      const victim = this.#victim ?? {};
      this.#victim = undefined;
      return killed('nohang', victim, evidence());
    }
    for (const { killer, line } of KILLS) {
      const groups = line.exec(text)?.groups;
      if (groups) return killed(killer, groups, evidence());
    }
    this.#reclaims = RECLAIMS.exec(text)?.groups?.resource ?? this.#reclaims;
    const { list, single, old } = EVICTED.exec(text)?.groups ?? {};
    const pod = list ?? single ?? old;
    return pod === undefined || this.#reclaims !== 'memory' ? undefined : killed('kubelet', { pod }, evidence());
  }
}

function killed(killer: string, of: Readonly<Record<string, string | undefined>>, evidence: LogEvidence): Finding {
  const number = (text: string | undefined, unit = 1): number | null =>
    text === undefined ? null : Number(text) * unit;
  const figures = {
    killer,
    pid: number(of.pid),
    comm: of.comm ?? null,
    cgroup: of.cgroup ?? null,
    pod: of.pod ?? null,
    rssBytes: number(of.rssMib, 2 ** 20) ?? number(of.rssKib, 1024),
    swapBytes: number(of.swapKib, 1024),
    pressureOf: of.pressureOf ?? null,
    pressure: number(of.pressure),
    pressureLimit: number(of.pressureLimit),
    duration: of.duration ?? null,
    usedBytes: number(of.used),
    totalBytes: number(of.total),
    swapUsedBytes: number(of.swapUsed),
    swapTotalBytes: number(of.swapTotal),
    reason: of.reason ?? null,
  };
  return found('user-space-kill', 'warning', figures, undefined, { evidence: [evidence] });
}

/** Figures that identify a kill. */
export const KILLED_BY = ['killer', 'pid', 'cgroup', 'pod'];
