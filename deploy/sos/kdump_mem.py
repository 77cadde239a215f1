# Plugin of sos: what kdump-mem reports of this machine, and its answers for the newest kernel dumps.
#
#   cp /usr/share/doc/kdump-mem/deploy/sos/kdump_mem.py "$(python3 -c 'import sos.report.plugins as p; print(p.__path__[0])')"
#   sos report -o kdump_mem
#
# sos runs it if kdump-mem is installed. Each command ends at the time limit of sos, and none is needed by another plugin.

import glob
import os

from sos.report.plugins import DebianPlugin, IndependentPlugin, Plugin, RedHatPlugin, UbuntuPlugin

ANSWERS = ("/var/crash", "/var/lib/systemd/pstore")
NEWEST = 3
SECONDS = 120


# sos 4.0 ignores plugins that are only independent.
class KdumpMem(Plugin, IndependentPlugin, RedHatPlugin, DebianPlugin, UbuntuPlugin):
    """Kernel memory by kdump-mem"""

    short_desc = "Kernel memory by kdump-mem"
    plugin_name = "kdump_mem"
    profiles = ("system", "debug", "memory")
    packages = ("kdump-mem",)
    commands = ("kdump-mem",)

    def setup(self):
        # Whatever fails here must not cost the report.
        try:
            self.add_answers()
        except Exception as error:  # pylint: disable=broad-except
            self._log_warn("kdump-mem: %s" % error)

    def add_answers(self):
        commands = (
            "kdump-mem triage",
            "kdump-mem triage --json",
            "kdump-mem memory --live --json",
            "kdump-mem procs --live --json",
            "skcheck --json",
        )
        # sos leaves no trace of a program, or of an interpreter, that does not exist.
        version = self.exec_cmd("kdump-mem --version", timeout=SECONDS)
        if version["status"] == 0:
            self.add_string_as_file(version["output"], "version")
            for command in commands:
                self.add_cmd_output(command, timeout=SECONDS)
        else:
            why = "kdump-mem or its Node is not installed" if version["status"] == 127 else version["output"].strip()
            self.add_string_as_file("kdump-mem --version: status %s (%s)\n" % (version["status"], why), "not-run")
        self.add_copy_spec("/var/lib/kdump-mem-ring/ring", sizelimit=16)
        answers = [answer for folder in ANSWERS for answer in newest(folder)]
        if answers:
            self.add_copy_spec(answers)
        else:
            self.add_string_as_file("no answers of kdump-mem in %s\n" % " ".join(ANSWERS), "no-answers")


def newest(folder):
    """The text and JSON of the newest dumps."""
    texts = glob.glob(os.path.join(folder, "**", "*kdump-mem.txt"), recursive=True)
    texts = [text for text in texts if os.path.isfile(text) and not os.path.islink(text)]
    texts.sort(key=os.path.getmtime, reverse=True)
    return [name for text in texts[:NEWEST] for name in (text, text[: -len("txt")] + "json") if os.path.isfile(name)]
