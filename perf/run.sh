#!/bin/bash
# Tidegate beside nginx, haproxy and h2o on the same work, in one run, on two CPUs (README.md says how).
#
#   perf/run.sh SCENARIO [--quick] [--json] [--table best|veth|both|xdp] [--systems A,B] [--runs N]
#                        [--seconds S] [--save]
#
# SCENARIO: plain mtls connections handshakes bulk bulk-mtls latency latency-mtls idle-memory
# idle-memory-plain scale-connections scale-routes, or all of these; and one by one: mesh crowd idle
# idle-spin reload reload-none slow-clients. Needs root (network namespaces). Builds what is missing
# in build/.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
build=${TG_BUILD:-$top/build}
if [ ! -x "$build/perf/load/tg_load" ] || [ ! -x "$build/dpdk_app/tidegate" ]; then
	[ -f "$build/build.ninja" ] || meson setup "$build" "$top" --buildtype=debugoptimized >&2
	ninja -C "$build" perf/load/tg_load dpdk_app/tidegate >&2
fi
export TG_BUILD=$build PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 "$top/perf/harness/run.py" "$@"
