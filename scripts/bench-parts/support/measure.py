"""ROUNDS NAME SECONDS-WAITED COMMAND…: runs a command; prints medians of seconds and CPU seconds, and the largest peak of memory."""
import os, statistics, subprocess, sys, time
rounds, name, waits, *command = sys.argv[1:]
walls, cpus, peak = [], [], 0
for _ in range(int(rounds)):
    begun = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"{name} ended with {status}")
    walls.append(time.monotonic() - begun)
    cpus.append(used.ru_utime + used.ru_stime)
    peak = max(peak, used.ru_maxrss)
wall, cpu = statistics.median(walls), statistics.median(cpus)
print(f"{name}: {wall:.2f} s ({wall - float(waits):.2f} s without waiting), CPU time {cpu:.2f} s, "
      f"peak of one process {peak // 1024} MB")
