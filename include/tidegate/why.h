/* why.h: every drop, reset and refusal, by name.
 *
 * One X-list for all layers. A packet, segment, connection or request that does not go the good
 * way ends with exactly one of these; the counter's name is the first column, its sentence the
 * third. The class says in which ledger it is counted:
 *   PKT  a received packet ends here:            rx = delivered + sum(PKT) + sum(SEG) + in flight
 *   SEG  a received TCP segment is not used (it passed the checks of IP)
 *   TXP  a packet that we made is not sent
 *   CONN a TCP connection does not start, or ends other than by FINs
 *   REQ  an HTTP request is answered by Tidegate itself or its exchange is cut
 * A new reason is one line here: counters, /stats and the docs follow.
 */
#ifndef TIDEGATE_WHY_H
#define TIDEGATE_WHY_H

#include <stdbool.h>

#define TG_WHY_LIST(X) \
	X(none, CONN, "nothing went wrong") \
	/* packets in: Ethernet, ARP, ND, IP, ICMP */ \
	X(rx_no_buffer, PKT, "device had no buffer (NIC counter)") \
	X(eth_short, PKT, "frame shorter than its headers") \
	X(eth_other_host, PKT, "destination MAC is not ours") \
	X(eth_vlan, PKT, "VLAN tag that this port does not carry, or two tags") \
	X(rx_too_long, PKT, "longer than one packet buffer") \
	X(eth_type, PKT, "EtherType that Tidegate does not speak") \
	X(arp_bad, PKT, "malformed or spoofed ARP") \
	X(nd_bad, PKT, "malformed or spoofed neighbour discovery (RFC 4861 section 7.1)") \
	X(ip_bad_header, PKT, "IPv4 or IPv6 header malformed or longer than the packet") \
	X(ip_bad_checksum, PKT, "IPv4 header checksum wrong") \
	X(ip_bad_source, PKT, "source address that no host may send from") \
	X(ip_options, PKT, "IPv4 source route or malformed options (RFC 7126)") \
	X(ip_not_ours, PKT, "destination address is not Tidegate's") \
	X(ip_multicast, PKT, "multicast or broadcast that Tidegate does not use") \
	X(ip_protocol, PKT, "IP protocol that Tidegate does not speak") \
	X(ip6_ext_header, PKT, "IPv6 extension headers malformed, too many or out of place") \
	X(frag_bad, PKT, "fragment malformed, overlapping or too small (RFC 5722, 1858)") \
	X(frag_duplicate, PKT, "fragment that had arrived already") \
	X(frag_timeout, PKT, "fragments not complete in time (RFC 8200 section 4.5)") \
	X(frag_table_full, PKT, "no room for another datagram in the reassembly table") \
	X(icmp_bad, PKT, "malformed ICMP or ICMPv6, or checksum wrong") \
	X(icmp_ignored, PKT, "ICMP type that needs no answer, or an error for no flow of ours") \
	X(icmp_rate, PKT, "ICMP answer withheld by the rate limit (RFC 4443 section 2.4f)") \
	X(udp_closed, PKT, "UDP to a closed port: answered with port unreachable") \
	X(steer_full, PKT, "ring to the owning worker full") \
	X(no_mbuf, PKT, "no packet buffer left to keep or copy a received packet") \
	/* segments in */ \
	X(tcp_bad_header, SEG, "TCP header or options malformed") \
	X(tcp_bad_checksum, SEG, "TCP checksum wrong") \
	X(tcp_bad_flags, SEG, "flag combination that no TCP sends (null, SYN+FIN, SYN+RST ...)") \
	X(tcp_no_listener, SEG, "SYN to a port where nothing listens (answered with RST)") \
	X(tcp_no_connection, SEG, "segment of no connection (answered with RST, unless an RST)") \
	X(tcp_embryonic, SEG, "segment of a handshake that does not fit it") \
	X(tcp_syn_dropped, SEG, "SYN dropped: no connection, buffer or budget left") \
	X(tcp_syn_overload, SEG, "SYN dropped by stop_accepting_connections") \
	X(tcp_listener_rate, SEG, "SYN over the listener's limit of new connections") \
	X(tcp_client_rate, SEG, "SYN over the limit of new connections of its client") \
	X(tcp_cookie_bad, SEG, "ACK that carries no valid SYN cookie") \
	X(tcp_paws, SEG, "timestamp older than the last (RFC 7323 section 5)") \
	X(tcp_out_of_window, SEG, "outside the receive window (RFC 9293 section 3.10.7.4)") \
	X(tcp_old_data, SEG, "carried only bytes that had arrived already") \
	X(tcp_ack_old, SEG, "ACK older than the window allows (RFC 5961 section 5)") \
	X(tcp_ack_future, SEG, "ACK of bytes never sent") \
	X(tcp_rst_challenged, SEG, "RST in window but not exact: challenge ACK (RFC 5961 3)") \
	X(tcp_rst_blind, SEG, "RST outside the window") \
	X(tcp_syn_challenged, SEG, "SYN on a synchronized connection: challenge ACK (RFC 5961 4)") \
	X(tcp_no_ack_flag, SEG, "segment without ACK on a synchronized connection") \
	X(tcp_ooo_full, SEG, "out-of-order data beyond the bound kept for a connection") \
	X(tcp_rcv_full, SEG, "data that the receive buffer cannot hold") \
	X(tcp_after_close, SEG, "data after the user was gone (answered with RST)") \
	X(tcp_time_wait, SEG, "segment of a connection in TIME-WAIT") \
	/* packets out */ \
	X(tx_no_mbuf, TXP, "no packet buffer left to build a packet") \
	X(tx_no_route, TXP, "no route towards the destination") \
	X(tx_no_neighbour, TXP, "next hop did not answer ARP or ND") \
	X(tx_neigh_full, TXP, "no room in the neighbour table: all entries in use") \
	X(tx_pending_full, TXP, "too many packets wait for the next hop's address") \
	X(tx_too_big, TXP, "larger than the path MTU") \
	X(tx_ring_full, TXP, "device took no more packets") \
	X(tx_fault, TXP, "segment that a fault was asked to lose") \
	/* connections */ \
	X(conn_reset_by_peer, CONN, "the peer sent RST") \
	X(conn_timeout, CONN, "retransmissions went unanswered (RFC 9293 section 3.8.3)") \
	X(conn_keepalive, CONN, "keepalive probes went unanswered") \
	X(conn_refused, CONN, "active open answered with RST") \
	X(conn_connect_timeout, CONN, "active open not answered in time") \
	X(conn_unreachable, CONN, "no route, or ICMP says that the host cannot be reached") \
	X(conn_no_port, CONN, "no free source port towards the destination") \
	X(conn_no_memory, CONN, "connection pool empty") \
	X(conn_idle, CONN, "idle timeout") \
	X(conn_max_duration, CONN, "maximum connection duration") \
	X(conn_drain, CONN, "drain time was over") \
	X(conn_aborted, CONN, "ended by Tidegate's own user side") \
	X(conn_peer_gone, CONN, "the other side of the proxied pair ended") \
	X(conn_linger, CONN, "peer did not finish the close in time") \
	X(conn_shed, CONN, "closed to free memory") \
	X(conn_denied, CONN, "refused by a filter (RBAC)") \
	/* TLS: the alert that goes out is in brackets */ \
	X(tls_no_memory, CONN, "no handshake, identity or key left in its pool") \
	X(tls_not_loaded, CONN, \
		"no usable certificate or CA is loaded for this listener or cluster") \
	X(tls_closed, CONN, "the peer closed before the handshake was done") \
	X(tls_peer_alert, CONN, "the peer refused the handshake with an alert") \
	X(tls_not_tls, CONN, "bytes that are no TLS where a handshake should begin") \
	X(tls_malformed, CONN, "handshake message malformed or out of order (decode_error, ...)") \
	X(tls_version, CONN, "no common TLS version (protocol_version)") \
	X(tls_cipher, CONN, "no common cipher suite, group or signature (handshake_failure)") \
	X(tls_alpn, CONN, "no common application protocol (no_application_protocol)") \
	X(tls_bad_mac, CONN, "record of the handshake failed authentication (bad_record_mac)") \
	X(tls_bad_proof, CONN, "CertificateVerify or Finished does not hold (decrypt_error)") \
	X(tls_no_certificate, CONN, "the peer showed no certificate (certificate_required)") \
	X(tls_unknown_ca, CONN, "certificate of a CA that we do not trust (unknown_ca)") \
	X(tls_self_signed, CONN, "self-signed certificate (unknown_ca)") \
	X(tls_trust_domain, CONN, "SVID of a trust domain without a bundle here (unknown_ca)") \
	X(tls_expired, CONN, "certificate has expired (certificate_expired)") \
	X(tls_not_yet_valid, CONN, "certificate is not yet valid (bad_certificate)") \
	X(tls_cert_bad, CONN, "certificate's signature, purpose or constraints do not hold") \
	X(tls_revoked, CONN, "certificate is on its CA's revocation list (certificate_revoked)") \
	X(tls_no_crl, CONN, \
		"no valid revocation list of the certificate's CA, although lists are configured") \
	X(tls_svid_bad, CONN, "certificate is no valid X.509-SVID (bad_certificate)") \
	X(tls_wrong_name, CONN, \
		"certificate of somebody else: name or SPIFFE ID (bad_certificate)") \
	X(tls_timeout, CONN, "handshake not done in time") \
	X(tls_record, CONN, "the peer broke the rules of records: an alert was sent") \
	X(tls_alert, CONN, "the peer ended an open connection by a fatal alert") \
	X(tls_truncated, CONN, "closed without close_notify (RFC 8446 section 6.1)") \
	X(tls_peer_expired, CONN, "the peer's certificate expired on an open connection") \
	X(tls_own_expired, CONN, "our own SVID expired on an open connection") \
	X(tls_internal, CONN, "the TLS library failed (internal_error)") \
	/* requests */ \
	X(req_malformed, REQ, "400: head or body malformed or ambiguous") \
	X(req_target_too_long, REQ, "414: request target too long") \
	X(req_head_too_big, REQ, "431: header fields too large") \
	X(req_coding, REQ, "501: transfer coding or method not implemented") \
	X(req_version, REQ, "505: HTTP version not supported") \
	X(req_expectation, REQ, "417: expectation not understood") \
	X(req_timeout, REQ, "408: request not complete in time") \
	X(req_denied, REQ, "403: refused by a filter (RBAC)") \
	X(req_rate_limited, REQ, "429: over a rate limit (RL)") \
	X(req_rate_limit_error, REQ, \
		"500: the rate limit service is away, and failure_mode_deny is set (RLSE)") \
	X(req_filter, REQ, "answered or cut by a filter otherwise") \
	X(req_no_route, REQ, "404: no route matches (NR)") \
	X(req_no_cluster, REQ, "503: cluster not found (NC)") \
	X(req_no_host, REQ, "503: no healthy upstream (UH)") \
	X(req_connect_failure, REQ, "503: upstream connection failed (UF)") \
	X(req_overflow, REQ, "503: circuit breaker (UO)") \
	X(req_upstream_reset, REQ, "503: upstream reset or closed before a response (UR, UC)") \
	X(req_upstream_timeout, REQ, "504: route timeout (UT)") \
	X(req_upstream_bad, REQ, "502: upstream response malformed (UPE)") \
	X(req_no_memory, REQ, "503: exchange memory exhausted (OM)") \
	X(req_overload, REQ, "503: refused in overload (OM)") \
	X(req_shed, REQ, "cut to free memory: it held buffers and stood still (OM)") \
	X(req_cut_upstream, REQ, "response cut: upstream failed after its head (UC, UR)") \
	X(req_cut_timeout, REQ, "response cut: a timeout after its head (UT, SI)") \
	X(req_downstream_gone, REQ, "client went away before the end (DC)") \
	X(req_drain, REQ, "cut at the end of the drain time")

enum tg_why_class { TG_WHY_PKT, TG_WHY_SEG, TG_WHY_TXP, TG_WHY_CONN, TG_WHY_REQ };

enum tg_why {
#define X(name, cls, text) TG_WHY_##name,
	TG_WHY_LIST(X)
#undef X
		TG_WHY_MAX
};

/* Whether a connection failed by what TLS says. */
static inline bool tg_why_is_tls(enum tg_why w)
{
	return w >= TG_WHY_tls_no_memory && w <= TG_WHY_tls_internal;
}

const char *tg_why_name(enum tg_why w); /* "ip_bad_checksum" */
const char *tg_why_text(enum tg_why w); /* its sentence */
enum tg_why_class tg_why_class(enum tg_why w);

#endif
