#!/bin/bash
# Measures everything, in pieces of less than three minutes on a quiet machine, and makes tables, plots and
# the goals' figures of it.
#
#   perf/full.sh [PIECE ...]         all pieces, or some of 1 to 8
#   TG_ALONE='COMMAND' perf/full.sh  each piece through COMMAND, which sees to it that nothing else runs
#
# A piece that fails or is disturbed can be measured again by itself: the newest figures count.
set -uo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)

r() { "$top/perf/run.sh" "$@" --save > /dev/null || failed=1; }
a() { r "$@" --table best; }

piece() {
	case $1 in
	1) a plain --runs 5 --seconds 2 ;;
	2) a mtls --runs 3 --seconds 1.5; a connections --runs 3 --seconds 1.5 ;;
	3) a scale-connections --runs 1 --seconds 1; a latency --runs 2 --seconds 4 ;;
	4) a scale-routes --runs 1 --seconds 1; a handshakes --runs 2 --seconds 2 ;;
	5) a bulk-mtls --runs 1 --seconds 1.5; a bulk --runs 1 --seconds 1.5 ;;
	6)
		a idle-memory-plain --runs 1
		for s in mesh crowd idle idle-spin reload reload-none slow-clients; do
			a $s --runs 1 --seconds 2
		done
		;;
	7)
		for s in plain mtls connections; do
			r $s --table veth --runs 2 --seconds 1.5
		done
		;;
	8) a idle-memory --runs 1; a latency-mtls --runs 1 --seconds 4; r latency --table veth --runs 1 --seconds 3 ;;
	*) echo "full.sh: no piece $1" >&2; exit 2 ;;
	esac
}

failed=0
if [ "${1:-}" = --one ]; then
	piece "$2"
	exit $failed
fi
[ $# -gt 0 ] || set -- 1 2 3 4 5 6 7 8
for p in "$@"; do
	echo "full.sh: piece $p, $(date +%T)" >&2
	# shellcheck disable=SC2086
	${TG_ALONE:-} "$top/perf/full.sh" --one "$p" || failed=1
done
"$top/perf/harness/plots.py"
exit $failed
