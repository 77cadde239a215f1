# Runs a command on a terminal of so many columns, and prints what it answered there; what it says to
# stderr meanwhile is left out.
import fcntl
import os
import pty
import struct
import sys
import termios

columns, *command = sys.argv[1:]
pid, master = pty.fork()
if pid == 0:
    # The parent sets the width before the command is let run.
    sys.stdin.readline()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    os.execvp(command[0], command)
fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 40, int(columns), 0, 0))
attributes = termios.tcgetattr(master)
attributes[3] &= ~termios.ECHO
attributes[1] &= ~termios.OPOST
termios.tcsetattr(master, termios.TCSANOW, attributes)
os.write(master, b"\n")
while True:
    try:
        data = os.read(master, 65536)
    except OSError:
        break
    if not data:
        break
    os.write(1, data)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
