#!/bin/bash
# Installs the distribution packages that Tidegate needs, and for the tests grpc-js into their folder; nothing
# else on the machine is changed.
#
#   scripts/setup.sh               all: to build, to run the lab, to run every test
#   scripts/setup.sh --build-only  to build
#   scripts/setup.sh --lab         to build and to run scripts/quickstart.sh
#   scripts/setup.sh --arm64       to build, and to build and test for arm64 (scripts/test-arm64.sh)
#   scripts/setup.sh --list [...]  print the packages and leave
#
# Debian 12 and Ubuntu 24.04. Idempotent: what is installed is skipped, and if nothing is missing
# the package manager is not even started. No daemon is started or enabled by it.
set -euo pipefail

build_pkgs=(
	gcc libc6-dev pkg-config meson ninja-build git
	libdpdk-dev        # the poll-mode drivers, rings, pools
	libconfig-dev      # the configuration language
	libmicrohttpd-dev  # the admin interface
	libjansson-dev     # JSON of the admin interface and of tgctl
	libpcre2-dev       # regular expressions of routes
	libssl-dev         # TLS: handshakes, certificates, records without ipsec-mb
	libnghttp2-dev libprotobuf-c-dev protobuf-c-compiler # gRPC of the SPIFFE Workload API
	libc-ares-dev      # names of endpoints, resolved on the control core
	libhiredis-dev     # Redis, for limits over several nodes
	libcunit1-dev      # unit tests
)
# TLS record encryption; there is no arm64 in it.
[ "$(dpkg --print-architecture 2> /dev/null)" != amd64 ] || build_pkgs+=(libipsec-mb-dev)
lab_pkgs=(
	iproute2 ethtool iputils-ping procps  # namespaces and virtual cables
	nginx-light        # an origin
	curl wrk           # clients
	python3
)
test_pkgs=(
	nginx-light haproxy
	gnuplot-nox        # perf/'s plots
	valgrind           # the benchmarks' instructions (callgrind)
	redis-server redis-tools # limits over several nodes
	nghttp2-client     # h2load
	openssl gnutls-bin # TLS clients and servers, certificates
	tcpdump tshark     # reading what dpdk-dumpcap wrote
	dpdk dpdk-dev      # dpdk-dumpcap, dpdk-testpmd (the peer of memif ports)
	python3-scapy python3-websockets
	python3-cryptography # TLS by hand, to spoil it anywhere
	nodejs node-llhttp # an independent HTTP parser to compare with
	clang clang-format-14 llvm shellcheck
)
# Some Node.js packages bring npm along; Debian's does not.
command -v npm > /dev/null || test_pkgs+=(npm)
arm64_pkgs=(
	gcc-aarch64-linux-gnu libc6-dev-arm64-cross # the cross compiler
	qemu-user-static   # runs what it made
)

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: error: %s\n' "$*" >&2; exit 1; }

want=all list=no
for arg in "$@"; do
	case $arg in
	--build-only) want=build ;;
	--lab) want=lab ;;
	--arm64) want=arm64 ;;
	--list) list=yes ;;
	-h | --help) sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 0 ;;
	*) die "unknown argument '$arg' (see --help)" ;;
	esac
done

id_like=unknown
if [ -r /etc/os-release ]; then
	# shellcheck disable=SC1091
	id_like=$(. /etc/os-release && printf '%s %s' "${ID:-}" "${ID_LIKE:-}")
fi
case " $id_like " in
*' debian '* | *' ubuntu '*) ;;
*) die "this is '${id_like% *}'; the package names here are those of Debian 12 and Ubuntu 24.04" ;;
esac
# One more that perf/ compares with, where the distribution has it.
case $id_like in
debian*) test_pkgs+=(h2o) ;;
*) ! apt-cache show h2o > /dev/null 2>&1 || test_pkgs+=(h2o) ;;
esac
command -v apt-get > /dev/null || die 'apt-get not found'

pkgs=("${build_pkgs[@]}")
[ "$want" = build ] || [ "$want" = arm64 ] || pkgs+=("${lab_pkgs[@]}")
[ "$want" != arm64 ] || pkgs+=("${arm64_pkgs[@]}")
[ "$want" != all ] || pkgs+=("${test_pkgs[@]}")

declare -A have
read_installed() {
	local state name
	have=()
	while read -r state name; do
		[ "$state" != installed ] || have[$name]=1
	done < <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2> /dev/null)
}
installed() {
	case $1 in
	# Any flavour of nginx is an origin; they conflict with each other.
	nginx-light) [ -n "${have[$1]:-}" ] || [ -x /usr/sbin/nginx ] ;;
	*) [ -n "${have[$1]:-}" ] ;;
	esac
}

# Clang keeps its sanitizer and fuzzer runtime in a package that carries the version in its name.
# Prints nothing as long as nobody knows which version that is.
clang_runtime() {
	local major
	if installed clang; then
		major=$(dpkg-query -W -f '${Depends}' clang | sed -n 's/.*clang-\([0-9]\+\).*/\1/p')
	else
		major=$(apt-cache depends clang 2> /dev/null |
			sed -n 's/.*Depends: clang-\([0-9]\+\)$/\1/p')
	fi
	[ -z "$major" ] || echo "libclang-rt-$major-dev"
}

# What of the wanted set is not there, once each, into the array `missing`.
find_missing() {
	local p rt=
	local -A seen=()
	[ "$want" != all ] || rt=$(clang_runtime)
	missing=()
	read_installed
	for p in "${pkgs[@]}" $rt; do
		[ -z "${seen[$p]:-}" ] || continue
		seen[$p]=1
		installed "$p" || missing+=("$p")
	done
}

if [ "$list" = yes ]; then
	printf '%s\n' "${pkgs[@]}" | awk '!seen[$0]++'
	exit 0
fi

# The gRPC server that the tests of the Workload API talk to: from npm's registry, by its lock file.
agent=$(dirname "$0")/../tests/e2e/agent
install_agent() {
	[ "$want" = all ] || return 0
	[ ! "$agent/node_modules/.package-lock.json" -nt "$agent/package-lock.json" ] || return 0
	say 'installing grpc-js for the tests'
	(cd "$agent" && npm ci --ignore-scripts --no-audit --no-fund) > /dev/null ||
		die 'npm ci failed (is the network there?)'
	touch "$agent/node_modules/.package-lock.json"
}

find_missing
if [ ${#missing[@]} -eq 0 ]; then
	say 'nothing to install'
	install_agent
	exit 0
fi
[ "$(id -u)" = 0 ] || die "run as root to install: ${missing[*]}"

export DEBIAN_FRONTEND=noninteractive
apt=(apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold)

# nginx, haproxy, h2o and redis start a daemon when they are installed. invoke-rc.d asks this file first. One
# that is there already is the administrator's and stays.
policy=/usr/sbin/policy-rc.d
own_policy=no
log=$(mktemp)
cleanup() {
	rm -f "$log"
	[ "$own_policy" = no ] || rm -f "$policy"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' > "$policy"
	chmod 755 "$policy"
	own_policy=yes
fi

update() {
	say 'updating the package lists'
	"${apt[@]}" update > /dev/null || die 'apt-get update failed (is the network there?)'
}
no_candidate() {
	local p policy_text
	for p in "$@"; do
		policy_text=$(apt-cache policy "$p" 2> /dev/null)
		case $policy_text in
		*'Candidate: (none)'* | '') echo "$p" ;;
		esac
	done
}

if [ -n "$(no_candidate "${missing[@]}")" ]; then
	update
	find_missing # Clang's version may be known only now
	absent=$(no_candidate "${missing[@]}" | tr '\n' ' ')
	[ -z "$absent" ] || die "the configured package sources do not have $absent" \
		"(on Ubuntu: add-apt-repository universe)"
fi

new_daemons=()
for d in nginx haproxy h2o redis-server; do
	[ -e "/etc/init.d/$d" ] || new_daemons+=("$d")
done

say "installing ${missing[*]}"
install() {
	"${apt[@]}" install --no-install-recommends "${missing[@]}" > "$log" 2>&1
}
if ! install; then
	update # the lists may be older than the archive
	if ! install; then
		tail -20 "$log" >&2
		die 'apt-get install failed'
	fi
fi

# Not started now; not at the next boot either, if it was this script that brought them.
for d in "${new_daemons[@]}"; do
	if [ -e "/etc/init.d/$d" ]; then
		update-rc.d "$d" disable > /dev/null 2>&1 || true
	fi
done

n=${#missing[@]}
find_missing
[ ${#missing[@]} -eq 0 ] || die "still missing: ${missing[*]}"
say "installed $n packages"
install_agent
