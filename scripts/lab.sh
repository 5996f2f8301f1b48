#!/bin/bash
# The lab: three network namespaces on two virtual cables, made and removed.
#
#     NAME-client            NAME-gate              NAME-origin
#   eth0 10.77.1.2/24 ---- tgn0     tgs0 ---- eth0 10.77.2.2/24
#        fd77:1::2/64    (no address of the        fd77:2::2/64
#                         kernel's: they are
#                         Tidegate's ports)
#
#   scripts/lab.sh up [NAME] [--mtu N]    NAME is "tg" if not given; an existing lab is made anew
#   scripts/lab.sh down [NAME]            ends what runs in the namespaces, removes them
#   scripts/lab.sh status [NAME]
#
# Tidegate is 10.77.1.1 and fd77:1::1 to the client, 10.77.2.1 and fd77:2::1 to the origin
# (cfg/quickstart.cfg). Two labs of different names do not see each other.
set -euo pipefail

die() { printf 'lab: error: %s\n' "$*" >&2; exit 1; }
usage() { sed -n '2,15s/^# \{0,1\}//p' "$0"; }

cmd=${1:-}
[ $# -eq 0 ] || shift
name=tg mtu=1500
while [ $# -gt 0 ]; do
	case $1 in
	--mtu) mtu=${2:-}; shift ;;
	-*) die "unknown argument '$1'" ;;
	*) name=$1 ;;
	esac
	shift
done
[[ $name =~ ^[A-Za-z0-9_-]{1,40}$ ]] || die "bad name '$name'"
[[ $mtu =~ ^[0-9]+$ && $mtu -ge 1280 && $mtu -le 9000 ]] || die "MTU must be 1280 to 9000"

client=$name-client gate=$name-gate origin=$name-origin

exists() { ip netns list | grep -q "^$1\( \|\$\)"; }

need_root() {
	[ "$(id -u)" = 0 ] || die 'network namespaces need root'
	command -v ip > /dev/null || die 'ip not found: run scripts/setup.sh'
	command -v ethtool > /dev/null || die 'ethtool not found: run scripts/setup.sh'
}

down() {
	local ns pids deadline
	for ns in "$client" "$gate" "$origin" "$name-link"; do # -link: tests/e2e/lossy.py
		exists "$ns" || continue
		pids=$(ip netns pids "$ns" 2> /dev/null || true)
		if [ -n "$pids" ]; then
			# shellcheck disable=SC2086
			kill -TERM $pids 2> /dev/null || true
			deadline=$((SECONDS + 3))
			while [ -n "$(ip netns pids "$ns")" ] && [ $SECONDS -lt $deadline ]; do
				sleep 0.05
			done
			pids=$(ip netns pids "$ns")
			# shellcheck disable=SC2086
			[ -z "$pids" ] || kill -KILL $pids 2> /dev/null || true
		fi
		# Removed by name, not by the end of the namespace: a process that hangs in it would
		# keep the cables.
		ip -n "$ns" -o link show type veth 2> /dev/null | sed 's/^[0-9]*: \([^@:]*\).*/\1/' |
			while read -r dev; do
				ip -n "$ns" link del "$dev" 2> /dev/null || true
			done
		ip netns del "$ns"
	done
}

# A cable from port $1 of Tidegate to the namespace $2. One queue each: DPDK's AF_XDP driver takes
# one queue of a veth, and packets of the others would be lost to it.
cable() {
	ip -n "$gate" link add "$1" mtu "$mtu" numrxqueues 1 numtxqueues 1 type veth \
		peer name eth0 mtu "$mtu" numrxqueues 1 numtxqueues 1 netns "$2"
	# The kernel must not speak on Tidegate's ports.
	ip netns exec "$gate" sysctl -q -w "net.ipv6.conf.$1.disable_ipv6=1"
	offloads_off "$gate" "$1"
	offloads_off "$2" eth0
	ip -n "$gate" link set "$1" up
	ip -n "$2" link set eth0 up
}

# The kernel leaves checksums and segmentation to the device; a virtual cable has neither, and
# AF_XDP would see half-made packets.
offloads_off() {
	ip netns exec "$1" ethtool -K "$2" rx off tx off sg off tso off gso off gro off \
		txvlan off rxvlan off > /dev/null 2>&1 ||
		ip netns exec "$1" ethtool -K "$2" tx off tso off gso off gro off > /dev/null
}

up() {
	local ns
	down
	trap 'down' ERR
	trap 'down; exit 130' INT
	trap 'down; exit 143' TERM HUP
	for ns in "$client" "$gate" "$origin"; do
		ip netns add "$ns"
		ip netns exec "$ns" sysctl -q -w net.ipv6.conf.all.accept_dad=0 \
			net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_ra=0 \
			net.ipv6.conf.default.accept_ra=0
		ip -n "$ns" link set lo up
	done
	cable tgn0 "$client"
	cable tgs0 "$origin"
	ip -n "$client" addr add 10.77.1.2/24 dev eth0
	ip -n "$client" addr add fd77:1::2/64 dev eth0 nodad
	ip -n "$origin" addr add 10.77.2.2/24 dev eth0
	ip -n "$origin" addr add fd77:2::2/64 dev eth0 nodad
	trap - ERR INT TERM HUP
}

case $cmd in
up) need_root; up ;;
down) need_root; down ;;
status)
	for ns in "$client" "$gate" "$origin"; do
		if exists "$ns"; then
			echo "$ns"
			ip -n "$ns" -br addr show | sed 's/^/  /'
		else
			echo "$ns: not there"
		fi
	done
	;;
-h | --help) usage ;;
*) usage >&2; exit 1 ;;
esac
