#!/usr/bin/python3
"""Writes vectors.hex: frames made by scapy, an implementation of these protocols that nobody here wrote.

Run it by hand after a change (python3-scapy); the result is committed, so that the tests need no scapy.
`x_` frames are what Tidegate must answer, byte for byte. Addresses: rig.h.
"""
import sys

from scapy.all import (ARP, Dot1Q, Ether, ICMP, ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest,
                       ICMPv6MLReport2, ICMPv6MLDMultAddrRec, ICMPv6MLQuery2, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA,
                       ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, ICMPv6PacketTooBig, ICMPv6ParamProblem,
                       ICMPv6TimeExceeded, IP, IPOption_LSRR, IPOption_SSRR, IPOption_RR, IPOption_NOP, IPv6,
                       IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, PadN,
                       HBHOptUnknown, Raw, RouterAlert, TCP, UDP, raw)

M, P = '02:00:00:00:00:01', '02:00:00:00:00:02'          # we, the peer
A4, B4 = '10.77.1.1', '10.77.1.2'
A6, B6 = 'fd77:1::1', 'fd77:1::2'
AL, BL = 'fe80::ff:fe00:1', 'fe80::ff:fe00:2'
BC = 'ff:ff:ff:ff:ff:ff'
SN = 'ff02::1:ff00:1'                                    # solicited node of all of our addresses on north
SNM = '33:33:ff:00:00:01'

out = {}


def v(name, pkt):
    assert name not in out
    out[name] = raw(pkt)


def e(**kw):
    return Ether(src=P, dst=M, **kw)


def i4(**kw):
    return e() / IP(src=B4, dst=A4, **kw)


def i6(**kw):
    return e() / IPv6(src=B6, dst=A6, **kw)


def back4(**kw):
    """An IPv4 header as we write it: TTL 64, an id that the test takes from the frame."""
    return Ether(src=M, dst=P) / IP(src=A4, dst=B4, ttl=64, **kw)


def back6(**kw):
    return Ether(src=M, dst=P) / IPv6(src=A6, dst=B6, hlim=64, **kw)


SEG = TCP(sport=40000, dport=80, seq=0x01020304, ack=0x11121314, flags='PA', window=512) / b'hello'
SEGS = raw(SEG)

# --- good frames ---
v('tcp4', i4(tos=2) / SEG)
v('tcp6', i6(tc=1) / SEG)
v('tcp4_padded', i4() / TCP(sport=1, dport=2, flags='S'))
out['tcp4_padded'] += b'\xee' * (60 - len(out['tcp4_padded']))
v('tcp4_options', e() / IP(src=B4, dst=A4, options=[IPOption_RR(routers=['0.0.0.0']), IPOption_NOP()]) / SEG)
v('tcp4_mss', i4() / TCP(sport=1, dport=2, flags='S', options=[('MSS', 1460), ('WScale', 7), ('SAckOK', b'')]))
v('tcp4_prio', Ether(src=P, dst=M) / Dot1Q(vlan=0, prio=5) / IP(src=B4, dst=A4) / SEG)
v('tcp4_vlan7', Ether(src=P, dst=M) / Dot1Q(vlan=7) / IP(src=B4, dst=A4) / SEG)
v('tcp6_ext', i6() / IPv6ExtHdrHopByHop(options=[PadN(optdata=b'\0' * 4)]) / IPv6ExtHdrDestOpt(
    options=[HBHOptUnknown(otype=0x1e, optdata=b'abcd')]) / IPv6ExtHdrRouting(type=0, segleft=0,
                                                                             addresses=['fd77::9']) / SEG)
v('tcp6_atomic', i6() / IPv6ExtHdrFragment(offset=0, m=0, id=7) / SEG)
v('x_tcp4', Ether(src=M, dst=P) / IP(src=A4, dst=B4, ttl=64, flags='DF', id=0, tos=2) / SEG)
v('x_tcp4_vlan7', Ether(src=M, dst=P) / Dot1Q(vlan=7) / IP(src=A4, dst=B4, ttl=64, flags='DF', id=0) / SEG)
v('x_tcp6', Ether(src=M, dst=P) / IPv6(src=A6, dst=B6, hlim=64, tc=1) / SEG)

# --- ARP ---
v('arp_request', Ether(src=P, dst=BC) / ARP(op=1, hwsrc=P, psrc=B4, hwdst='0:0:0:0:0:0', pdst=A4))
v('x_arp_reply', Ether(src=M, dst=P) / ARP(op=2, hwsrc=M, psrc=A4, hwdst=P, pdst=B4))
v('arp_probe', Ether(src=P, dst=BC) / ARP(op=1, hwsrc=P, psrc='0.0.0.0', hwdst='0:0:0:0:0:0', pdst=A4))
v('x_arp_probe_reply', Ether(src=M, dst=P) / ARP(op=2, hwsrc=M, psrc=A4, hwdst=P, pdst='0.0.0.0'))
v('x_arp_request', Ether(src=M, dst=BC) / ARP(op=1, hwsrc=M, psrc=A4, hwdst='0:0:0:0:0:0', pdst=B4))
v('x_arp_unicast', Ether(src=M, dst=P) / ARP(op=1, hwsrc=M, psrc=A4, hwdst=P, pdst=B4))
v('arp_reply', Ether(src=P, dst=M) / ARP(op=2, hwsrc=P, psrc=B4, hwdst=M, pdst=A4))
v('arp_reply_254', Ether(src=P, dst=M) / ARP(op=2, hwsrc=P, psrc='10.77.1.254', hwdst=M, pdst=A4))
v('arp_other', Ether(src=P, dst=BC) / ARP(op=1, hwsrc=P, psrc=B4, hwdst='0:0:0:0:0:0', pdst='10.77.1.77'))
v('arp_gratuitous', Ether(src='02:00:00:00:00:99', dst=BC) /
  ARP(op=1, hwsrc='02:00:00:00:00:99', psrc=B4, hwdst='0:0:0:0:0:0', pdst=B4))
v('x_arp_announce', Ether(src=M, dst=BC) / ARP(op=1, hwsrc=M, psrc=A4, hwdst='0:0:0:0:0:0', pdst=A4))
v('arp_conflict', Ether(src=P, dst=BC) / ARP(op=1, hwsrc=P, psrc=A4, hwdst='0:0:0:0:0:0', pdst='10.77.1.9'))
v('bad_arp_off_link', Ether(src=P, dst=BC) / ARP(op=1, hwsrc=P, psrc='10.99.1.2', pdst=A4))
v('bad_arp_op', Ether(src=P, dst=BC) / ARP(op=5, hwsrc=P, psrc=B4, pdst=A4))
v('bad_arp_group', Ether(src=P, dst=BC) / ARP(op=1, hwsrc='03:00:00:00:00:02', psrc=B4, pdst=A4))
v('bad_arp_hlen', Ether(src=P, dst=BC) / ARP(op=1, hwlen=8, hwsrc=P, psrc=B4, pdst=A4))
out['bad_arp_short'] = out['arp_request'][:14 + 27]

# --- neighbour discovery ---
v('ns', Ether(src=P, dst=SNM) / IPv6(src=B6, dst=SN, hlim=255) / ICMPv6ND_NS(tgt=A6) / ICMPv6NDOptSrcLLAddr(lladdr=P))
v('x_na', Ether(src=M, dst=P) / IPv6(src=A6, dst=B6, hlim=255) / ICMPv6ND_NA(R=0, S=1, O=1, tgt=A6) /
  ICMPv6NDOptDstLLAddr(lladdr=M))
v('ns_unicast', e() / IPv6(src=BL, dst=A6, hlim=255) / ICMPv6ND_NS(tgt=A6))
v('x_na_unicast', Ether(src=M, dst=P) / IPv6(src=A6, dst=BL, hlim=255) / ICMPv6ND_NA(R=0, S=1, O=1, tgt=A6) /
  ICMPv6NDOptDstLLAddr(lladdr=M))
v('ns_dad', Ether(src=P, dst=SNM) / IPv6(src='::', dst=SN, hlim=255) / ICMPv6ND_NS(tgt=A6))
v('x_na_dad', Ether(src=M, dst='33:33:00:00:00:01') / IPv6(src=A6, dst='ff02::1', hlim=255) /
  ICMPv6ND_NA(R=0, S=0, O=1, tgt=A6) / ICMPv6NDOptDstLLAddr(lladdr=M))
v('ns_link_local', Ether(src=P, dst=SNM) / IPv6(src=BL, dst=SN, hlim=255) / ICMPv6ND_NS(tgt=AL) /
  ICMPv6NDOptSrcLLAddr(lladdr=P))
v('x_na_link_local', Ether(src=M, dst=P) / IPv6(src=AL, dst=BL, hlim=255) / ICMPv6ND_NA(R=0, S=1, O=1, tgt=AL) /
  ICMPv6NDOptDstLLAddr(lladdr=M))
v('x_ns', Ether(src=M, dst='33:33:ff:00:00:02') / IPv6(src=A6, dst='ff02::1:ff00:2', hlim=255) / ICMPv6ND_NS(tgt=B6) /
  ICMPv6NDOptSrcLLAddr(lladdr=M))
v('x_ns_probe', Ether(src=M, dst=P) / IPv6(src=A6, dst=B6, hlim=255) / ICMPv6ND_NS(tgt=B6) /
  ICMPv6NDOptSrcLLAddr(lladdr=M))


def na(name, s, o, mac=P, dst=A6, tgt=B6, hlim=255, src=B6):
    p = Ether(src=P, dst=M) / IPv6(src=src, dst=dst, hlim=hlim) / ICMPv6ND_NA(R=0, S=s, O=o, tgt=tgt)
    v(name, p / ICMPv6NDOptDstLLAddr(lladdr=mac) if mac else p)


NEW = '02:00:00:00:00:99'
na('na', 1, 1)
na('na_unsolicited', 0, 0)
na('na_other_no_override', 1, 0, mac=NEW)
na('na_other_override', 0, 1, mac=NEW)
na('na_other_override_solicited', 1, 1, mac=NEW)
na('na_no_mac', 1, 1, mac=None)
na('na_ours', 0, 1, tgt=A6)
na('bad_na_hops', 1, 1, hlim=254)
na('bad_na_group_solicited', 1, 1, dst='ff02::1')
na('bad_na_target', 1, 1, tgt='ff02::5')
na('bad_na_mac', 1, 1, mac='03:00:00:00:00:02')
NSB = ICMPv6ND_NS(tgt=A6)
v('bad_ns_off_link', e() / IPv6(src='fd99::2', dst=A6, hlim=255) / NSB)
v('bad_ns_dad_mac', Ether(src=P, dst=SNM) / IPv6(src='::', dst=SN, hlim=255) / NSB / ICMPv6NDOptSrcLLAddr(lladdr=P))
v('bad_ns_dad_unicast', e() / IPv6(src='::', dst=A6, hlim=255) / NSB)
v('bad_ns_code', e() / IPv6(src=B6, dst=A6, hlim=255) / ICMPv6ND_NS(code=1, tgt=A6))
v('bad_ns_option', e() / IPv6(src=B6, dst=A6, hlim=255) / NSB / Raw(b'\1\0\0\0\0\0\0\0'))
v('bad_ns_option_long', e() / IPv6(src=B6, dst=A6, hlim=255) / NSB / Raw(b'\1\2\0\0\0\0\0\0'))
v('bad_ns_fragment', e() / IPv6(src=B6, dst=A6, hlim=255) / IPv6ExtHdrFragment(id=3) / NSB)
v('ra', e() / IPv6(src=BL, dst=A6, hlim=255) / ICMPv6ND_RA())
v('mld_query', Ether(src=P, dst='33:33:00:00:00:01') / IPv6(src=BL, dst='ff02::1', hlim=1) / IPv6ExtHdrHopByHop(
    options=[RouterAlert(), PadN(optdata=b'')]) / ICMPv6MLQuery2())


def mld(kind):
    return (Ether(src=M, dst='33:33:00:00:00:16') / IPv6(src=AL, dst='ff02::16', hlim=1) /
            IPv6ExtHdrHopByHop(options=[RouterAlert(), PadN(optdata=b'')]) /
            ICMPv6MLReport2(records=[ICMPv6MLDMultAddrRec(rtype=kind, dst=SN)] * 2))


v('x_mld_answer', mld(2))
v('x_mld_report', mld(4))

# --- echo and refusals ---
v('echo4', i4(tos=0x40) / ICMP(type=8, id=3, seq=4) / b'abcdefgh')
v('x_echo4', back4(tos=0x40) / ICMP(type=0, id=3, seq=4) / b'abcdefgh')
v('echo6', i6() / ICMPv6EchoRequest(id=3, seq=4, data=b'abcdefg'))
v('x_echo6', back6() / ICMPv6EchoReply(id=3, seq=4, data=b'abcdefg'))
v('echo6_link_local', e() / IPv6(src=BL, dst=AL) / ICMPv6EchoRequest(id=3, seq=4, data=b'x'))
v('x_echo6_link_local', Ether(src=M, dst=P) / IPv6(src=AL, dst=BL, hlim=64) / ICMPv6EchoReply(id=3, seq=4, data=b'x'))
v('echo6_group', Ether(src=P, dst='33:33:00:00:00:01') / IPv6(src=B6, dst='ff02::1') / ICMPv6EchoRequest())
v('echo4_broadcast', Ether(src=P, dst=BC) / IP(src=B4, dst='10.77.1.255') / ICMP(type=8))

udp4 = IP(src=B4, dst=A4) / UDP(sport=5, dport=53) / b'question'
v('udp4', e() / udp4)
v('x_udp4', back4() / ICMP(type=3, code=3) / Raw(raw(udp4)))
udp6 = IPv6(src=B6, dst=A6) / UDP(sport=5, dport=53) / b'question'
v('udp6', e() / udp6)
v('x_udp6', back6() / ICMPv6DestUnreach(code=4) / Raw(raw(udp6)))
sctp4 = IP(src=B4, dst=A4, proto=132) / Raw(b'01234567')
v('sctp4', e() / sctp4)
v('x_sctp4', back4() / ICMP(type=3, code=2) / Raw(raw(sctp4)))
sctp6 = IPv6(src=B6, dst=A6, nh=132) / Raw(b'01234567')
v('sctp6', e() / sctp6)
v('x_sctp6', back6() / ICMPv6ParamProblem(code=1, ptr=6) / Raw(raw(sctp6)))
v('none6', i6(nh=59))
big4 = IP(src=B4, dst=A4) / UDP(sport=5, dport=53) / (b'z' * 1000)
v('udp4_big', e() / big4)
v('x_udp4_big', back4() / ICMP(type=3, code=3) / Raw(raw(big4)[:548]))

# --- errors about our packets ---
OUR4 = raw(IP(src=A4, dst=B4, flags='DF') / TCP(sport=80, dport=40000, seq=0xa1a2a3a4) / (b'q' * 1400))[:28]
OUR6 = raw(IPv6(src=A6, dst=B6) / TCP(sport=80, dport=40000, seq=0xa1a2a3a4) / (b'q' * 1400))[:60]
R4 = '10.77.1.254'


def err4(name, **kw):
    v(name, e() / IP(src=R4, dst=A4) / ICMP(**kw) / Raw(OUR4))


err4('err4_too_big', type=3, code=4, nexthopmtu=1300)
err4('err4_too_big_0', type=3, code=4, nexthopmtu=0)
err4('err4_too_big_tiny', type=3, code=4, nexthopmtu=68)
err4('err4_too_big_larger', type=3, code=4, nexthopmtu=1450)
err4('err4_port', type=3, code=3)
err4('err4_host', type=3, code=1)
err4('err4_ttl', type=11, code=0)
err4('err4_redirect', type=5, code=1, gw='10.77.1.9')
err4('err4_quench', type=4, code=0)
v('err4_other', e() / IP(src=R4, dst=A4) / ICMP(type=3, code=3) /
  Raw(raw(IP(src='10.77.1.9', dst=B4) / TCP(sport=80, dport=40000))[:28]))
v('bad_err4_short', e() / IP(src=R4, dst=A4) / ICMP(type=3, code=3) / Raw(OUR4[:27]))
v('err6_too_big', i6() / ICMPv6PacketTooBig(mtu=1400) / Raw(OUR6))
v('err6_too_big_tiny', i6() / ICMPv6PacketTooBig(mtu=1279) / Raw(OUR6))
v('err6_port', i6() / ICMPv6DestUnreach(code=4) / Raw(OUR6))
v('err6_route', i6() / ICMPv6DestUnreach(code=0) / Raw(OUR6))
v('err6_next_header', i6() / ICMPv6ParamProblem(code=1, ptr=6) / Raw(OUR6))
v('err6_echo_too_big', i6() / ICMPv6PacketTooBig(mtu=1300) / Raw(
    raw(IPv6(src=A6, dst=B6) / ICMPv6EchoReply(data=b'q' * 1400))[:100]))
# An error must not be answered with an error, whatever it is in.
v('err4_in_bad_protocol', i4(proto=1) / ICMP(type=3, code=3) / Raw(OUR4[:10]))

# --- bad frames: one for each reason ---
out['bad_eth_short'] = out['tcp4'][:13]
v('bad_eth_host', Ether(src=P, dst='02:00:00:00:00:77') / IP(src=B4, dst=A4) / SEG)
v('bad_vlan_two', Ether(src=P, dst=M) / Dot1Q(vlan=0) / Dot1Q(vlan=7) / IP(src=B4, dst=A4) / SEG)
v('bad_vlan_qinq', Ether(src=P, dst=M, type=0x88a8) / Raw(b'\0\7\x08\0' + b'\0' * 46))
out['bad_vlan_short'] = out['tcp4_prio'][:16]
v('bad_type', Ether(src=P, dst=M, type=0x88cc) / Raw(b'\0' * 46))
v('bad_llc', Ether(src=P, dst=M, type=0x0026) / Raw(b'\x42\x42\3' + b'\0' * 43))
v('bad_ip4_version', i4(version=5) / SEG)
v('bad_ip4_ihl', i4(ihl=4) / SEG)
v('bad_ip4_len', i4(len=200) / SEG)
v('bad_ip4_len_short', i4(len=19) / SEG)
out['bad_ip4_cut'] = out['tcp4'][:14 + 19]
v('bad_ip4_checksum', i4(chksum=0x1234) / SEG)
for name, src in [('loopback', '127.0.0.1'), ('group', '224.0.0.1'), ('class_e', '240.0.0.1'),
                  ('broadcast', '255.255.255.255'), ('zero', '0.1.2.3'), ('own', A4), ('own_south', '10.77.2.1'),
                  ('subnet', '10.77.1.255')]:
    v('bad_src4_' + name, e() / IP(src=src, dst=A4) / SEG)
v('bad_lsrr', e() / IP(src=B4, dst=A4, options=[IPOption_LSRR(routers=['1.2.3.4'])]) / SEG)
v('bad_ssrr', e() / IP(src=B4, dst=A4, options=[IPOption_SSRR(routers=['1.2.3.4'])]) / SEG)
v('bad_option_len', e() / IP(src=B4, dst=A4, options=b'\x07\x09\0\0') / SEG)
v('bad_option_zero', e() / IP(src=B4, dst=A4, options=b'\x07\0\0\0') / SEG)
v('bad_dst4', e() / IP(src=B4, dst='10.77.1.7') / SEG)
v('bad_dst6', e() / IPv6(src=B6, dst='fd77:1::7') / SEG)
v('bad_dst6_mapped', e() / IPv6(src=B6, dst='::ffff:10.77.1.1') / SEG)
v('bad_dst6_south_local', e() / IPv6(src=BL, dst='fe80::ff:fe00:101') / SEG)
v('bad_group4', Ether(src=P, dst='01:00:5e:00:00:fb') / IP(src=B4, dst='224.0.0.251') / UDP())
v('bad_broadcast4', Ether(src=P, dst=BC) / IP(src=B4, dst='255.255.255.255') / UDP())
v('bad_unicast_in_broadcast', Ether(src=P, dst=BC) / IP(src=B4, dst=A4) / SEG)
v('bad_group6', Ether(src=P, dst='33:33:00:00:00:fb') / IPv6(src=B6, dst='ff02::fb') / UDP())
v('bad_group6_tcp', Ether(src=P, dst='33:33:00:00:00:01') / IPv6(src=B6, dst='ff02::1') / SEG)
v('bad_unicast6_in_group', Ether(src=P, dst='33:33:00:00:00:01') / IPv6(src=B6, dst=A6) / SEG)
v('bad_ip6_version', i6(version=4) / SEG)
v('bad_ip6_len', i6(plen=200) / SEG)
out['bad_ip6_cut'] = out['tcp6'][:14 + 39]
for name, src in [('loopback', '::1'), ('group', 'ff02::5'), ('mapped', '::ffff:10.77.1.2'), ('own', A6), ('any', '::')]:
    v('bad_src6_' + name, e() / IPv6(src=src, dst=A6) / SEG)
rh0 = IPv6(src=B6, dst=A6) / IPv6ExtHdrRouting(type=0, segleft=1, addresses=['fd77::9']) / SEG
v('bad_rh0', e() / rh0)
v('x_bad_rh0', back6() / ICMPv6ParamProblem(code=0, ptr=42) / Raw(raw(rh0)))
hbh = IPv6(src=B6, dst=A6) / IPv6ExtHdrDestOpt() / IPv6ExtHdrHopByHop() / SEG
v('bad_hbh_late', e() / hbh)
v('x_bad_hbh_late', back6() / ICMPv6ParamProblem(code=1, ptr=40) / Raw(raw(hbh)))
opt = IPv6(src=B6, dst=A6) / IPv6ExtHdrDestOpt(options=[HBHOptUnknown(otype=0x9e, optdata=b'abcd')]) / SEG
v('bad_option6', e() / opt)
v('x_bad_option6', back6() / ICMPv6ParamProblem(code=2, ptr=42) / Raw(raw(opt)))
v('bad_option6_silent', i6() / IPv6ExtHdrDestOpt(options=[HBHOptUnknown(otype=0x5e, optdata=b'abcd')]) / SEG)
v('bad_option6_overrun', i6(nh=60) / Raw(b'\x06\0\x1e\x05\0\0\0\0' + SEGS))
v('bad_option6_group', Ether(src=P, dst='33:33:00:00:00:01') / IPv6(src=B6, dst='ff02::1') / IPv6ExtHdrDestOpt(
    options=[HBHOptUnknown(otype=0xde, optdata=b'abcd')]) / ICMPv6EchoRequest())
grp = IPv6(src=B6, dst='ff02::1') / IPv6ExtHdrDestOpt(options=[HBHOptUnknown(otype=0x9e, optdata=b'abcd')]) / SEG
v('bad_option6_group_told', Ether(src=P, dst='33:33:00:00:00:01') / grp)
v('x_bad_option6_group_told', back6() / ICMPv6ParamProblem(code=2, ptr=42) / Raw(raw(grp)))
v('bad_ext_many', i6(nh=60) / Raw(b'\x3c\0\1\4\0\0\0\0' * 8 + b'\x06\0\1\4\0\0\0\0' + SEGS))
v('bad_ext_overrun', i6(nh=60) / Raw(b'\x06\x09\1\4\0\0\0\0' + SEGS))
v('bad_ext_cut', i6(nh=60) / Raw(b'\x06\0\1\4\0\0\0'))
v('bad_ext_long', i6(nh=60) / Raw(b'\x06\x20' + b'\0' * (33 * 8 - 2) + SEGS))
v('bad_ext_padding', i6(nh=60) / Raw(b'\x06\2' + b'\0' * 22 + SEGS))
v('bad_fragment_nested', i6() / IPv6ExtHdrFragment(id=1) / IPv6ExtHdrFragment(id=2) / SEG)
v('bad_icmp4_checksum', i4() / ICMP(type=8, chksum=0x1234))
v('bad_icmp4_short', i4(proto=1) / Raw(b'\x08\0\0\0\0\0\0'))
v('bad_icmp6_checksum', i6() / ICMPv6EchoRequest(cksum=0x1234))
v('bad_mld_hops', Ether(src=P, dst='33:33:00:00:00:01') / IPv6(src=BL, dst='ff02::1', hlim=2) / ICMPv6MLQuery2())
v('echo_reply4', i4() / ICMP(type=0))
v('timestamp4', i4() / ICMP(type=13))
v('echo_reply6', i6() / ICMPv6EchoReply())
v('bad_udp_short', i4(proto=17) / Raw(b'\0\0\0\0\0\0\0'))
v('bad_tcp_short', i4(proto=6) / Raw(SEGS[:19]))
v('bad_tcp_doff', i4() / TCP(dataofs=4) / b'hello')
v('bad_tcp_doff_long', i4() / TCP(dataofs=15) / b'hello')
v('bad_tcp4_checksum', i4() / TCP(sport=40000, dport=80, chksum=0x1234) / b'hello')
v('bad_tcp6_checksum', i6() / TCP(sport=40000, dport=80, chksum=0x1234) / b'hello')


# --- fragments ---
def frag4(name, off, more, data, ident=0x55aa, proto=17, **kw):
    v(name, e() / IP(src=B4, dst=A4, id=ident, proto=proto, flags='MF' if more else 0, frag=off // 8, **kw) / Raw(data))


def frag6(name, off, more, data, ident=0x55aa55aa, nh=6, ext=False):
    p = e() / IPv6(src=B6, dst=A6)
    if ext:
        p = p / IPv6ExtHdrHopByHop(options=[PadN(optdata=b'\0' * 4)])
    v(name, p / IPv6ExtHdrFragment(nh=nh, offset=off // 8, m=more, id=ident) / Raw(data))


T4 = raw((IP(src=B4, dst=A4) / TCP(sport=40000, dport=80, seq=7, flags='A') / bytes(range(100))))[20:]
T6 = raw((IPv6(src=B6, dst=A6) / TCP(sport=40000, dport=80, seq=7, flags='A') / bytes(range(100))))[40:]
for n, (a, b) in enumerate([(0, 40), (40, 80), (80, 120)]):
    frag4('frag4_%d' % n, a, n < 2, T4[a:b], proto=6)
    frag6('frag6_%d' % n, a, int(n < 2), T6[a:b], ext=True)
frag4('frag4_0_ect', 0, True, T4[:40], proto=6, tos=2)
frag4('frag4_ce', 40, True, T4[40:80], proto=6, tos=3)
frag4('frag4_overlap', 32, True, T4[32:64], proto=6)
frag4('frag4_last_short', 64, False, T4[64:72], proto=6)
frag4('frag4_after_end', 160, True, T4[:8], proto=6)
frag6('frag6_overlap', 32, 1, T6[32:64], ext=True)
frag4('bad_frag4_tiny', 0, True, T4[:8], proto=6)
frag4('bad_frag4_at_8', 8, False, T4[8:], proto=6)
frag4('bad_frag4_odd', 0, True, T4[:21], proto=6)
frag4('bad_frag4_empty', 64, True, b'')
frag4('bad_frag4_death', 65528, False, b'x' * 64)
frag6('bad_frag6_odd', 0, 1, T6[:21])
v('x_bad_frag6_odd', back6() / ICMPv6ParamProblem(code=0, ptr=4) / Raw(out['bad_frag6_odd'][14:]))
frag6('bad_frag6_death', 65528, 0, b'x' * 64)
v('x_bad_frag6_death', back6() / ICMPv6ParamProblem(code=0, ptr=42) / Raw(out['bad_frag6_death'][14:]))
v('bad_frag6_group', Ether(src=P, dst='33:33:00:00:00:01') / IPv6(src=B6, dst='ff02::1') / IPv6ExtHdrFragment(m=1) /
  Raw(b'12345678'))
frag4('frag4_echo', 0, True, b'\x08\0\0\0\0\1\0\1', proto=1)
frag4('frag4_icmp_error', 0, True, b'\x03\3\0\0\0\0\0\0', proto=1)
frag6('frag6_echo', 0, 1, b'\x80\0\0\0\0\1\0\1', nh=58)
frag6('frag6_icmp_error', 0, 1, b'\x01\4\0\0\0\0\0\0', nh=58)
v('x_frag4_timeout', back4() / ICMP(type=11, code=1) / Raw(out['frag4_0'][14:]))
v('x_frag6_timeout', back6() / ICMPv6TimeExceeded(code=1) / Raw(out['frag6_0'][14:]))

with open(sys.argv[1] if len(sys.argv) > 1 else 'vectors.hex', 'w') as f:
    f.write('# Made by gen_vectors.py with scapy. Do not edit.\n')
    for name, b in out.items():
        f.write('%s %s\n' % (name, b.hex()))
