#!/bin/bash
# Every microbenchmark, and the whole path of a request under callgrind, as a table: ns, TSC cycles and
# instructions of each piece.
#
#   perf/micro.sh [--save]     --save: into perf/results/micro.md
#
# As root for the whole path (network namespaces). About five minutes; on a machine that is not alone the
# ns wander, the instructions do not.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
build=${TG_BUILD:-$top/build}
save=no
case ${1:-} in
--save) save=yes ;;
'') ;;
*) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
benches=(h1 aead tcp wheel match pump path)
ninja -C "$build" "${benches[@]/#/perf/bench_}" dpdk_app/tidegate perf/load/tg_load > /dev/null
export TG_BUILD=$build PYTHONDONTWRITEBYTECODE=1

table() {
	cat <<-DOC
	# The pieces of the hot path, and the whole

	Made by \`perf/micro.sh --save\`; each piece by \`meson test -C build --benchmark NAME\`.

	$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), $(nproc) CPUs, Linux $(uname -r);
	$(${CC:-gcc} --version | head -1), buildtype $(meson introspect --buildoptions "$build" |
		python3 -c 'import json, sys; print(next(o["value"] for o in json.load(sys.stdin) if o["name"] == "buildtype"))');
	commit $(git -C "$top" describe --always --dirty); $(date -u '+%Y-%m-%d %H:%M'); load $(cut -d' ' -f1 /proc/loadavg).
	The TSC's cycles are not the core's. Instructions: callgrind ($(valgrind --version)), which has neither AVX-512 nor VAES;
	where it counted 100,000 instead of 1,000,000 timers or flows, the figure is that of the smaller number.

	DOC
	"$top/perf/bench.py" --markdown "${benches[@]/#/$build/perf/bench_}"
	cat <<-DOC

	## A whole request

	Instructions in user space, by \`perf/callgrind.py\`: Tidegate over memif with its own TCP and the driver, haproxy over
	loopback, whose TCP is in the kernel and not counted. Keep-alive, 64 connections, GET with a head of some 350 bytes, 64
	bytes of content; \`mtls\`: 16 connections, TLS 1.3 with certificates of both sides on both legs.

	DOC
	"$top/perf/callgrind.py" --markdown
}

if [ $save = yes ]; then
	table > "$top/perf/results/micro.md.new"
	mv "$top/perf/results/micro.md.new" "$top/perf/results/micro.md"
else
	table
fi
