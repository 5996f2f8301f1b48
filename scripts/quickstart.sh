#!/bin/bash
# Tidegate at work, on this machine, in one command: installs what is missing, builds, makes a lab of
# network namespaces (client | tidegate | origin), sends real requests through it, prints what
# happened and what it cost, and takes the lab down. Needs root; no NIC, no hugepages.
#
#   scripts/quickstart.sh                 about half a minute once it is built
#   scripts/quickstart.sh --keep          leaves it running and says how to talk to it
#   scripts/quickstart.sh --seconds N     how long each of the two loads lasts (5)
# shellcheck disable=SC2016  # the $1 in single quotes are awk's
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${TG_BUILD:-$root/build}
keep=no seconds=5
while [ $# -gt 0 ]; do
	case $1 in
	--keep) keep=yes ;;
	--seconds) seconds=${2:-}; shift ;;
	-h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
	*) echo "quickstart: unknown argument '$1' (see --help)" >&2; exit 1 ;;
	esac
	shift
done
[[ $seconds =~ ^[1-9][0-9]{0,3}$ ]] || { echo 'quickstart: --seconds wants a number' >&2; exit 1; }

# The kept lab has a name to remember; others must not disturb each other.
name=tg$$
[ "$keep" = no ] || name=tg
client=$name-client gate=$name-gate origin=$name-origin
dir=$(mktemp -d "/tmp/tidegate-$name-XXXXXX")
chmod 755 "$dir"
child='' tidegate='' nginx='' tax='' up=no kept=no failed=0

end() { # PID SECONDS: SIGTERM, then SIGKILL
	local deadline=$((SECONDS + $2))
	kill -TERM "$1" 2> /dev/null || return 0
	while kill -0 "$1" 2> /dev/null && [ $SECONDS -lt $deadline ]; do
		sleep 0.05
	done
	kill -KILL "$1" 2> /dev/null
	wait "$1" 2> /dev/null
	return 0
}

cleanup() {
	trap '' INT TERM HUP
	[ -z "$child" ] || end "$child" 5
	[ -z "$tax" ] || end "$tax" 1
	if [ "$kept" = no ]; then
		[ -z "$tidegate" ] || end "$tidegate" 10
		[ -z "$nginx" ] || end "$nginx" 5
		[ "$up" = no ] || "$root/scripts/lab.sh" down "$name"
		rm -rf "$dir"
	fi
}
trap cleanup EXIT
trap 'echo; echo "quickstart: interrupted, taking the lab down" >&2; exit 130' INT
trap 'exit 143' TERM HUP

say() { printf '%s\n' "$*"; }
step() { printf '==> %s\n' "$*"; }
die() {
	printf 'quickstart: error: %s\n' "$*" >&2
	if [ -s "$dir/tidegate.log" ]; then
		echo '--- the end of its log:' >&2
		tail -15 "$dir/tidegate.log" >&2
	fi
	exit 1
}

# Runs a command so that a signal to this script is obeyed at once, not when the command ends.
run() {
	local rc
	"$@" &
	child=$!
	wait "$child"
	rc=$?
	child=''
	return $rc
}

[ "$(id -u)" = 0 ] || die 'network namespaces and AF_XDP need root'

# ---- install, build -----------------------------------------------------------------------------

step 'packages'
run "$root/scripts/setup.sh" --lab || die 'scripts/setup.sh failed'

step "building into $build (the first time takes a minute)"
if [ ! -f "$build/build.ninja" ]; then
	run meson setup "$build" "$root" > "$dir/build.log" 2>&1 ||
		{ tail -20 "$dir/build.log" >&2; die 'meson setup failed'; }
fi
run ninja -C "$build" dpdk_app/tidegate dpdk_app/tgctl > "$dir/build.log" 2>&1 ||
	{ tail -30 "$dir/build.log" >&2; die 'the build failed'; }
tail -1 "$dir/build.log"

# ---- lab, origin, tidegate ----------------------------------------------------------------------

step "lab: $client 10.77.1.2 | $gate 10.77.1.1, 10.77.2.1 | $origin 10.77.2.2"
up=yes
run "$root/scripts/lab.sh" up "$name" || die 'scripts/lab.sh failed'

mkdir -p "$dir/www/v6"
head -c 1048576 /dev/urandom > "$dir/www/1m"
cp "$dir/www/1m" "$dir/www/v6/1m"
cat > "$dir/nginx.conf" <<END
user root; worker_processes 1; daemon off; pid $dir/nginx.pid; error_log $dir/nginx.log warn;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s; sendfile on;
  client_body_temp_path $dir/t1; proxy_temp_path $dir/t2; fastcgi_temp_path $dir/t3;
  uwsgi_temp_path $dir/t4; scgi_temp_path $dir/t5; default_type text/plain;
  server { listen 8080 backlog=4096; listen [::]:8080 ipv6only=on backlog=4096; root $dir/www;
    location = / { return 200 "v1\\n"; } location = /v6/ { return 200 "v1 over IPv6\\n"; } }
  server { listen 8081; root $dir/www; location / { return 200 "v2\\n"; } }
}
END
ip netns exec "$origin" "$(command -v nginx || echo /usr/sbin/nginx)" -c "$dir/nginx.conf" \
	-p "$dir" > "$dir/nginx.out" 2>&1 &
nginx=$!

# cfg/quickstart.cfg as it is, but for its admin socket and log, which are this run's.
sed "s|^admin:.*|admin: { socket = \"$dir/admin.sock\"; access_log = \"$dir/access.log\"; };|" \
	"$root/cfg/quickstart.cfg" > "$dir/tidegate.cfg"
ip netns exec "$gate" "$build/dpdk_app/tidegate" -c "$dir/tidegate.cfg" > "$dir/tidegate.log" 2>&1 &
tidegate=$!

tgctl() { "$build/dpdk_app/tgctl" -s "$dir/admin.sock" "$@"; }
wait_until() { # SECONDS TEXT COMMAND...
	local deadline=$((SECONDS + $1)) text=$2
	shift 2
	until "$@" > /dev/null 2>&1; do
		kill -0 "$tidegate" 2> /dev/null || die 'tidegate ended'
		kill -0 "$nginx" 2> /dev/null || { cat "$dir/nginx.out" >&2; die 'nginx ended'; }
		[ $SECONDS -lt $deadline ] || die "$text: not within the time"
		sleep 0.1
	done
}
wait_until 30 'tidegate ready' tgctl ready
wait_until 10 'nginx ready' ip netns exec "$origin" curl -sf --max-time 2 http://127.0.0.1:8080/
step "tidegate is ready (pid $tidegate, AF_XDP on tgn0 and tgs0)"

# ---- requests -----------------------------------------------------------------------------------

step 'requests by curl, in the client namespace'
sum=$(sha256sum < "$dir/www/1m")
sent=0 answered=0
try() { # TEXT WANTED curl-arguments...
	local text=$1 want=$2 got
	shift 2
	sent=$((sent + 1))
	got=$(ip netns exec "$client" curl -sS -g --max-time 10 "$@" 2>&1)
	if [ "$got" = "$want" ]; then
		answered=$((answered + 1))
		printf '    ok      %s\n' "$text"
	else
		failed=1
		printf '    FAILED  %s: got %.60q, wanted %.60q\n' "$text" "$got" "$want"
	fi
}
download() { # TEXT URL
	sent=$((sent + 1))
	if [ "$(ip netns exec "$client" curl -sS -g --max-time 20 "$2" | sha256sum)" = "$sum" ]; then
		answered=$((answered + 1))
		printf '    ok      %s\n' "$1"
	else
		failed=1
		printf '    FAILED  %s: the bytes differ\n' "$1"
	fi
}
try 'GET over IPv4' v1 http://10.77.1.1/
try 'GET over IPv6' v1 'http://[fd77:1::1]/'
try 'by host' v1 --resolve shop.example:80:10.77.1.1 http://shop.example/
try 'by path, to an origin over IPv6' 'v1 over IPv6' http://10.77.1.1/v6/
try 'by header, to cluster v2' v2 -H 'x-beta-group: true' http://10.77.1.1/
try 'HEAD' 200 -I -o /dev/null -w '%{http_code}' http://10.77.1.1/1m
try 'POST of 1 MiB in chunks' v2 -H 'x-beta-group: true' --data-binary "@$dir/www/1m" \
	-H 'Transfer-Encoding: chunked' http://10.77.1.1/
try 'a range' 206 -r 1000-1999 -o /dev/null -w '%{http_code}' http://10.77.1.1/1m
try 'what is not there' 404 -o /dev/null -w '%{http_code}' http://10.77.1.1/nothing
try 'plain TCP listener' v1 http://10.77.1.1:5432/
download '1 MiB, equal checksum' http://10.77.1.1/1m
download '1 MiB over IPv6 on both sides, equal checksum' 'http://[fd77:1::1]/v6/1m'

stat_of() { tgctl --all stats 2> /dev/null | awk -v n="$1" '$1 == n || $1 == n ":" { print $2; exit }'; }
busy0=$(stat_of server.busy_cycles) idle0=$(stat_of server.idle_cycles)
rq0=$(stat_of http.web.downstream_rq_completed)

load() { # URL FILE
	run ip netns exec "$client" wrk -t 1 -c 32 -d "${seconds}s" --latency "$1" > "$2" 2>&1 || {
		cat "$2" >&2
		die 'wrk failed'
	}
}

# What Tidegate is compared with: the same cable, from the client straight to the origin.
step "load by wrk without Tidegate: 32 connections, $seconds s"
direct_cable() {
	ip -n "$client" link add direct numrxqueues 1 numtxqueues 1 type veth \
		peer name direct numrxqueues 1 numtxqueues 1 netns "$origin" &&
		for ns in "$client" "$origin"; do
			ip netns exec "$ns" ethtool -K direct tx off tso off gso off gro off > /dev/null &&
				ip -n "$ns" link set direct up || return 1
		done &&
		ip -n "$client" addr add 10.77.3.1/24 dev direct &&
		ip -n "$origin" addr add 10.77.3.2/24 dev direct
}
direct_cable || die 'no cable from client to origin'
load http://10.77.3.2:8080/ "$dir/direct.txt"

step "load by wrk through Tidegate: 32 connections, $seconds s"
# A little longer than the load, whose end it has to see.
tgctl --interval $((seconds * 1000 + 700))ms --direct "$dir/direct.txt" --through "$dir/wrk.txt" \
	tax > "$dir/tax.txt" 2>&1 &
tax=$!
load http://10.77.1.1/ "$dir/wrk.txt"
wait "$tax" || { cat "$dir/tax.txt" >&2; die 'tgctl tax failed'; }
busy1=$(stat_of server.busy_cycles) idle1=$(stat_of server.idle_cycles)
rq1=$(stat_of http.web.downstream_rq_completed)

# ---- what happened ------------------------------------------------------------------------------

wrk_of() { awk "$1" "$dir/wrk.txt"; }
requests=$(wrk_of '/requests in/ { print $1 }')
bytes=$(wrk_of '/requests in/ { print $5 }')
rps=$(wrk_of '/^Requests\/sec/ { printf "%d", $2 }')
non2xx=$(wrk_of '/Non-2xx/ { print $NF }')
errors=$(wrk_of '/Socket errors/ { gsub(",", ""); print $4 + $6 + $8 + $10 }')
busy=$((busy1 - busy0)) idle=$((idle1 - idle0)) done_rq=$((rq1 - rq0))

balanced() { tgctl --json drops | grep -q '"balanced": *true'; }
for _ in 1 2 3 4 5 6 7 8 9 10; do
	balanced && break
	sleep 0.1
done
tgctl --json drops > "$dir/drops.json"
ledger_of() { sed -n "s/.*\"$1\": *\([0-9-]*\).*/\1/p" "$dir/drops.json" | head -1; }
ledger='does NOT balance'
if balanced; then
	ledger='balanced'
else
	failed=1
fi
[ "${requests:-0}" -gt 0 ] && [ "${non2xx:-0}" = 0 ] && [ "${errors:-0}" = 0 ] || failed=1

row() { printf '  %-26s %s\n' "$1" "$2"; }
say
say '  Tidegate, one worker, AF_XDP over veth, nginx as origin'
say '  ------------------------------------------------------------------------'
row 'requests by curl' "$sent sent, $answered answered as they should"
row 'requests by wrk' "${requests:-0} answered in $seconds s, ${rps:-0} a second"
row 'answers other than 2xx' "${non2xx:-0}"
row 'socket errors' "${errors:-0}"
row 'counted by Tidegate' "$done_rq requests during the load"
row 'latency 50 / 75 %' "$(wrk_of '/^ *(50|75)%/ { printf "%s%s", s, $2; s = " / " }')"
row 'latency 90 / 99 %' "$(wrk_of '/^ *(90|99)%/ { printf "%s%s", s, $2; s = " / " }')"
row 'bytes read by wrk' "${bytes:-0}"
if [ $((busy + idle)) -gt 0 ] && [ "$done_rq" -gt 0 ]; then
	row 'CPU of the worker' "$((100 * busy / (busy + idle)))% busy, $((busy / done_rq)) cycles a request, packets and all"
fi
row 'packets received' "$(ledger_of received)"
row '  = delivered' "$(ledger_of delivered)"
row '  + dropped, by reason' "$(ledger_of dropped)"
row '  + in flight' "$(ledger_of in_flight)"
row 'drop ledger' "$ledger"
say '  ------------------------------------------------------------------------'
say '  Why something was dropped (tgctl drops):'
tgctl drops | sed 's/^/    /'
say
say '  What the mesh costs (tgctl tax, beside a run from the client straight to the origin):'
sed 's/^/    /' "$dir/tax.txt"
say

if [ "$keep" = yes ] && [ "$failed" = 0 ]; then
	kept=yes
	cat <<END
It keeps running.
  talk to it     ip netns exec $client curl -v http://10.77.1.1/
  load it        ip netns exec $client wrk -c 32 -d 10s --latency http://10.77.1.1/
  look inside    $build/dpdk_app/tgctl -s $dir/admin.sock stats      (or tax, drops, memory ...)
  change it      \$EDITOR $dir/tidegate.cfg; kill -HUP $tidegate
  its log        $dir/tidegate.log, $dir/access.log
  end it         $root/scripts/lab.sh down $name; rm -r $dir
END
	disown -a
	exit 0
fi

step 'SIGTERM: tidegate finishes what is under way and exits'
kill -TERM "$tidegate"
deadline=$((SECONDS + 15))
while kill -0 "$tidegate" 2> /dev/null && [ $SECONDS -lt $deadline ]; do
	sleep 0.05
done
if kill -0 "$tidegate" 2> /dev/null; then
	say '    FAILED  still there'
	failed=1
else
	wait "$tidegate"
	rc=$?
	say "    exit $rc"
	[ "$rc" = 0 ] || failed=1
	tidegate=''
fi
if [ "$failed" != 0 ]; then
	say 'quickstart: something failed; the log said:'
	tail -15 "$dir/tidegate.log"
	exit 1
fi
say 'quickstart: all well, the lab is taken down'
