## src/host/netlink.ts describes what this prints, and puts values in place of __NAMES__. The same for hosts without perl.
import ctypes, os, socket, struct, sys
# As in list.pl.
failure = ''
def messages(protocol, kind, flags, body):
    global failure
    found = []
    failure = 'refused'
    s = socket.socket(16, 3, protocol)
    s.settimeout(__REPLY_SECONDS__)
    s.sendto(struct.pack('=LHHLL', 16 + len(body), kind, flags, 1, 0) + body, (0, 0))
    while True:
        data = s.recv(262144)
        at = 0
        while at + 16 <= len(data):
            length, kind, multi = struct.unpack_from('=LHH', data, at)
            if kind == 2 and length >= 20:
                error = struct.unpack_from('=l', data, at + 16)[0]
                failure = 'lacks' if error in (-95, -2) else failure
            if kind == 2 or length < 16 or at + length > len(data):
                return None
            # NLMSG_DONE: see list.pl.
            error = struct.unpack_from('=l', data, at + 16)[0] if kind == 3 and length >= 20 else 0
            if error < 0 and not (protocol == 16 and error == -95):
                return None
            if kind == 3:
                return found
            found.append(data[at + 16:at + length])
            if len(found) > __MAX_MESSAGES__:
                return None
            if not multi & 2:
                return found
            at += (length + 3) & ~3
def asked(*request):
    global failure
    try:
        return messages(*request)
    except OSError as error:
        failure = 'lacks' if error.errno == 93 else 'refused'
        return None
def attributes(data, at):
    found = []
    while at + 4 <= len(data):
        length, kind = struct.unpack_from('=HH', data, at)
        if length < 4 or at + length > len(data):
            break
        found.append((kind & 0x3fff, data[at + 4:at + length]))
        at += (length + 3) & ~3
    return found
def number(data):
    return int.from_bytes(data, sys.byteorder) if len(data) in (1, 2, 4, 8) else ''
for place, path in enumerate(sys.argv[2:]):
    if path != '-':
        try:
            with open(path) as opened:
                entered = ctypes.CDLL(None).setns(opened.fileno(), 0x40000000) == 0
        except OSError:
            entered = False
        if not entered:
            print('closed', place)
            continue
    for dump in [__DUMPS__]:
        kind, family, command, wanted = dump.split(' ')
        wanted = [int(one) for one in wanted.split(',')]
        requests = [(0, int(command), 0x301, bytes(16))]
        if family == 'rdma':
            if not os.path.exists('/sys/class/infiniband'):
                continue
            devices = asked(20, 5121, 0x301, b'')
            if devices is None:
                print(failure, place, kind)
                continue
            ids = [value for one in devices for at, value in attributes(one, 0) if at == 1]
            requests = [(20, int(command), 0x301, struct.pack('=HHL', 8, 1, number(one))) for one in ids]
        elif family != '-':
            name = struct.pack('=HH', 5 + len(family), 2) + family.encode() + b'\0'
            name += bytes(-len(name) % 4)
            reply = asked(16, 16, 1, struct.pack('=BBH', 3, 1, 0) + name)
            ids = [value for at, value in attributes(reply[0], 4) if at == 1] if reply else []
            if not ids:
                print(failure, place, kind)
                continue
            header = struct.pack('=HH', 4, 0x8001) if family == 'ethtool' else b''
            requests = [(16, number(ids[0]), 0x301, struct.pack('=BBH', int(command), 1, 0) + header)]
        answers = [asked(*request) for request in requests]
        if None in answers:
            print(failure, place, kind)
        for message in [one for answer in answers if answer for one in answer]:
            if family == 'rdma':
                of = attributes(message, 0)
                device = b''.join([value for at, value in of if at == 1])
                for _, region in [one for at, value in of if at == 40 for one in attributes(value, 0)]:
                    shown = [(at, 1 if at == 29 else number(value)) for at, value in attributes(region, 0) if at in wanted]
                    print(kind, place, 'index=%s' % number(device), *['%d=%s' % one for one in shown])
                continue
            shown = ['index=%d' % struct.unpack_from('=L', message, 4)] if family == '-' else []
            for at, value in attributes(message, 16 if family == '-' else 4):
                if at not in wanted:
                    continue
                if kind == 'link' and at == 3:
                    value = value.split(b'\0')[0].hex()
                elif kind == 'ring' and at == 1:
                    value = number(b''.join([one for inner, one in attributes(value, 0) if inner == 1]))
                elif kind == 'pool' and at > 6:
                    value = 1
                else:
                    value = number(value)
                shown.append('%d=%s' % (at, value))
            print(kind, place, *shown)
print('end')
