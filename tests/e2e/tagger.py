#!/usr/bin/python3
"""tagger.py WIRE TAG NAME: an interface NAME whose frames carry a VLAN tag on WIRE.

What the kernel's 8021q does, for kernels without it: a TAP device and a packet socket.
"""
import fcntl
import os
import select
import socket
import struct
import sys

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454ca, 2, 0x1000
SOL_PACKET, PACKET_AUXDATA, VLAN_VALID = 263, 8, 1 << 4
ETH_P_ALL = 3


def tci_of(ancillary):
    """The tag that the kernel took off the frame, or None."""
    for level, kind, data in ancillary:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, _, _, _, _, tci, _ = struct.unpack('IIIHHHH', data[:20])
            if status & VLAN_VALID:
                return tci & 0xfff
    return None


def main(wire, tag, name):
    tap = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack('16sH22x', name.encode(), IFF_TAP | IFF_NO_PI))
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    s.bind((wire, 0))
    s.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    head = b'\x81\x00' + struct.pack('!H', tag)
    while True:
        for fd in select.select([tap, s], [], [])[0]:
            if fd is tap:
                frame = os.read(tap, 65536)
                s.send(frame[:12] + head + frame[12:])
            else:
                frame, ancillary, _, where = s.recvmsg(65536, 64)
                # Not what we sent ourselves, which packet sockets see too.
                if where[2] != socket.PACKET_OUTGOING and tci_of(ancillary) == tag:
                    os.write(tap, frame)


if __name__ == '__main__':
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
