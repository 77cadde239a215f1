"""Every message of the kernel's log, by drgn's own helper."""

import json

from drgn.helpers.linux.printk import get_printk_records

messages = [
    {
        "seq": record.seq,
        "timestamp": str(record.timestamp),
        "level": record.level,
        "facility": record.facility,
        "caller": {"kind": "task", "id": record.caller_tid}
        if record.caller_cpu is None
        else {"kind": "cpu", "id": record.caller_cpu},
        "device": record.context.get(b"DEVICE", b"").decode("latin1"),
        "text": record.text.decode("latin1"),
    }
    for record in get_printk_records(prog)  # noqa: F821
]
print(json.dumps(messages))
