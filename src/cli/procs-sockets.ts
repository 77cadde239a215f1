/** What ss tells of sockets, which skcheck's estimate is made of. */
export async function seenSockets() {
  const [{ liveHost }, { socketsOfProcesses }] = await Promise.all([
    import('../host/live.js'),
    import('../diagnosis/sockets-of-processes.js'),
  ]);
  return socketsOfProcesses(liveHost, process.geteuid?.() === 0);
}
