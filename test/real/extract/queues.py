"""Of every socket that a descriptor leads to: its queues' skbs, counted link by link; and its process."""

from drgn import cast
from drgn.helpers.linux.fs import for_each_file
from drgn.helpers.linux.pid import for_each_task


def length(head):
    start, count, skb = head.address_of_().value_(), 0, head.next
    while skb.value_() != start and count < 1_000_000:
        count, skb = count + 1, skb.next
    return count, head.qlen.value_()


for task in sorted(for_each_task(prog), key=lambda task: task.pid.value_()):  # noqa: F821
    if not task.files:
        continue
    for fd, file in for_each_file(task):
        if file.f_op != prog["socket_file_ops"].address_of_():  # noqa: F821
            continue
        sk = cast("struct socket *", file.private_data).sk
        if sk:
            queues = (sk.sk_receive_queue, sk.sk_write_queue, sk.sk_error_queue)
            print(task.pid.value_(), task.comm.string_(), fd, [length(queue) for queue in queues])
