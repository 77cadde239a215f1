# Figures of one report of the OOM killer, read by no code of ours: `name value`, sizes in KiB or pages.
/^# source/ { next }
match($0, /Hardware name: .*/) { hardware = substr($0, RSTART + 15, RLENGTH - 15) }
/ pages RAM$/ { ram = $(NF - 2) }
/ pages reserved$/ { reserved = $(NF - 2) }
/ pages in swap cache$/ { cache = $(NF - 4) }
/ total pagecache pages$/ { pagecache = $(NF - 3) }
/Free swap +=/ { free = $NF + 0 }
/Total swap +=/ { total = $NF + 0 }
match($0, /Killed process .*/) {
  split(substr($0, RSTART), of, /, */)
  for (i in of) if (match(of[i], /(anon|file|shmem)-rss:[0-9]+kB/)) { split(of[i], pair, ":"); rss += pair[2] + 0 }
  killed = 1
}
# [  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name
match($0, /\[ *[0-9]+\] +[0-9]+ +[0-9]+ +[0-9]+ +[0-9]+ +[0-9]+ +.*-?[0-9]+ +[^ ]/) {
  row = substr($0, RSTART); sub(/^\[ */, "", row); sub(/\]/, "", row)
  split(row, column, / +/)
  rows++; resident += column[5]; tgids += column[3]
}
function print_known(name, value) { if (value != "") print name, value }
END {
  print_known("ram", ram); print_known("reserved", reserved); print_known("swapCache", cache)
  print_known("pageCache", pagecache); print_known("swapFreeKib", free); print_known("swapTotalKib", total)
  if (killed) print "victimRssKib", rss
  if (rows) { print "rows", rows; print "residentPages", resident; print "tgids", tgids }
  print_known("hardware", hardware)
}
