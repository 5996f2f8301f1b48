#!/bin/bash
# Builds Tidegate in five ways and runs every test.
#
#   scripts/test.sh            all: some 25 to 28 minutes on two cores
#   scripts/test.sh --quick    the same suites, shorter: some ten minutes
#   scripts/test.sh --long     more simulator seeds, longer fuzzing, bigger transfers
#   scripts/test.sh --suite S  only suite S (style, unit, sim, e2e, fuzz) of its build
#
# Installs what is missing (scripts/setup.sh), needs root (network namespaces) and leaves no
# namespace, interface or process behind, also when interrupted. The builds stay in build*/.
# The last line is `N passed, N failed` or `N passed, N failed, N skipped`; exit 1 on any failure.
set -uo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top" || exit 1
mode=full only=
while [ $# -gt 0 ]; do
	case $1 in
	--quick) mode=quick ;;
	--long) mode=long ;;
	--suite) only=${2:?--suite needs a name}; shift ;;
	-h | --help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;;
	*) printf 'test: unknown argument %s (see --help)\n' "$1" >&2; exit 2 ;;
	esac
	shift
done
export TG_TEST_MODE=$mode
case $mode in
quick) export TG_SIM_SEEDS=${TG_SIM_SEEDS:-300} fuzz_seconds=3 ;;
full) export TG_SIM_SEEDS=${TG_SIM_SEEDS:-10000} fuzz_seconds=12 ;;
long) export TG_SIM_SEEDS=${TG_SIM_SEEDS:-50000} fuzz_seconds=300 ;;
esac

results=$(mktemp -d)
child=

# Each end-to-end test takes its lab down; this is for one that was killed in the middle of that. Labs
# are called tgePIDxN; only those whose process is gone are taken.
sweep() {
	local ns lab pid
	for ns in $(ip netns list 2>/dev/null | awk '/^tge[0-9]+x[0-9]+-/ { print $1 }'); do
		lab=${ns%-*} pid=${ns#tge} pid=${pid%%x*}
		kill -0 "$pid" 2>/dev/null || scripts/lab.sh down "$lab" >/dev/null 2>&1
	done
}

finish() {
	if [ -n "$child" ] && kill -0 "$child" 2>/dev/null; then
		kill -TERM "$child" 2>/dev/null # Meson passes it on to its tests
		wait "$child"
	fi
	sweep
	rm -rf "$results"
}
trap finish EXIT
trap 'printf "test: interrupted\n" >&2; exit 130' INT TERM HUP

say() { printf '\n== %s  (%d s)\n' "$*" "$SECONDS"; }

# Runs a command in the background and waits, so that a signal reaches the trap at once.
run() {
	"$@" &
	child=$!
	wait "$child"
	local rc=$?
	child=
	return $rc
}

passed=0 failed=0 skipped=0 said=()
fail() {
	failed=$((failed + 1))
	said+=("FAILED: $*")
	printf 'FAILED: %s\n' "$*"
}

# build DIR COMPILER SUITES [MESON OPTION ...]: configures if needed, and builds what the tests of these
# suites need, or everything (all). Counts as a test.
build() {
	local dir=$1 compiler=$2 suites=$3 targets
	shift 3
	say "build $dir ($compiler $*)"
	if [ ! -f "$dir/build.ninja" ]; then
		rm -rf "$dir"
		CC=$compiler run meson setup "$dir" "$@" >"$results/setup.log" 2>&1 ||
			{ cat "$results/setup.log"; fail "configure $dir"; return 1; }
	else
		run meson configure "$dir" "$@" >/dev/null 2>&1
	fi
	targets=all
	# shellcheck disable=SC2086
	[ "$suites" = all ] || targets=$(python3 scripts/test_targets.py "$dir" $suites) ||
		{ fail "build $dir"; return 1; }
	# shellcheck disable=SC2086
	if run ninja -C "$dir" $targets >"$results/ninja.log" 2>&1; then
		passed=$((passed + 1))
	else
		tail -n 60 "$results/ninja.log"
		fail "build $dir"
		return 1
	fi
}

# count DIR LOG NAME: sets p, f and s to what passed, failed and was skipped, text to what is to be said of it.
count() {
	text=$(python3 scripts/count_tests.py "$1/meson-logs/$2.json" "$3")
	read -r p f s <<<"$(printf '%s\n' "$text" | tail -n 1)"
	text=$(printf '%s\n' "$text" | sed '$d')
	[ -z "$text" ] || printf '%s\n' "$text"
}

# An end-to-end test stands on the machine's time: packets, other programs' timeouts, two virtual CPUs that the
# host may give to others. One that failed runs once more, alone. If it fails again, it failed; if it passes, it is
# called UNSTABLE with what it said the first time, which is a fault to be found and stays in the last lines.
again() {
	local dir=$1 names first=$text
	names=$(printf '%s\n' "$text" | sed -n 's/^FAILED: tidegate:e2e \/ \([a-z0-9_-]*\) .*/\1/p')
	p=0 s=0
	[ -n "$names" ] && [ "$f" -le 5 ] || return 0 # more than that is no accident
	say "once more, alone: ${names//$'\n'/ }"
	# shellcheck disable=SC2086
	run meson test -C "$dir" --no-rebuild --suite e2e --logbase tg-e2e-again --print-errorlogs --num-processes 1 $names
	count "$dir" tg-e2e-again "e2e in $dir, once more"
	said+=("UNSTABLE: of the following, $f failed a second time: ${names//$'\n'/ }" "$first")
}

# tests DIR SUITE [MESON TEST ARGUMENT ...]: runs one suite and adds up its results.
tests() {
	local dir=$1 suite=$2 p f s text passes
	shift 2
	[ -z "$only" ] || [ "$only" = "$suite" ] || return 0
	[ -f "$dir/build.ninja" ] || return 0
	say "suite $suite in $dir"
	rm -f "$dir/meson-logs/tg-$suite"*.json
	run meson test -C "$dir" --no-rebuild --suite "$suite" --logbase "tg-$suite" --print-errorlogs "$@"
	count "$dir" "tg-$suite" "$suite in $dir"
	passes=$p
	passed=$((passed + p)) skipped=$((skipped + s))
	if [ "$suite" = e2e ] && [ "$f" -gt 0 ] && [ "$passes" -gt 0 ]; then
		again "$dir"
		passed=$((passed + p)) skipped=$((skipped + s))
	fi
	failed=$((failed + f))
	[ "$f" -eq 0 ] || said+=("$text")
}

say "packages"
run scripts/setup.sh || { fail "scripts/setup.sh"; printf '%d passed, %d failed\n' "$passed" "$failed"; exit 1; }

if build build gcc all --buildtype=debugoptimized; then
	tests build style
	tests build unit
	tests build sim
	tests build e2e --num-processes 2 # those that measure or fill the machine run alone
fi
if [ -z "$only" ] || [ "$only" = unit ]; then
	build build-clang clang all && tests build-clang unit
	build build-sanitize gcc 'unit sim' -Dsanitize=true && {
		tests build-sanitize unit
		TG_SIM_SEEDS=$((TG_SIM_SEEDS / 20)) tests build-sanitize sim
	}
fi
if { [ -z "$only" ] || [ "$only" = unit ]; } && [ "$mode" != quick ]; then
	say "build build-arm64 (scripts/test-arm64.sh)"
	run scripts/test-arm64.sh --build-only
	case $? in
	0)
		passed=$((passed + 1))
		tests build-arm64 unit -t 8
		;;
	77) skipped=$((skipped + 1)) ;;
	*) fail "build build-arm64" ;;
	esac
fi
if [ -z "$only" ] || [ "$only" = fuzz ]; then
	build build-fuzz clang fuzz -Dsanitize=true -Dfuzz=true -Dfuzz_seconds="$fuzz_seconds" &&
		tests build-fuzz fuzz
fi

printf '\n%d s\n' "$SECONDS"
[ ${#said[@]} -eq 0 ] || printf '%s\n' "${said[@]}"
if [ "$skipped" -gt 0 ]; then
	printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
else
	printf '%d passed, %d failed\n' "$passed" "$failed"
fi
[ "$failed" -eq 0 ]
