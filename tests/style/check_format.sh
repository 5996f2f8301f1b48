#!/bin/bash
# clang-format over every tracked C file. The version is part of the style: another one formats some
# lines differently, so without version 14 the check is skipped (exit 77), not guessed.
set -euo pipefail
cd "$1"
tool=
for t in clang-format-14 clang-format; do
	if command -v "$t" > /dev/null && "$t" --version | grep -q 'version 14\.'; then
		tool=$t
		break
	fi
done
if [ -z "$tool" ]; then
	echo 'skipped: clang-format 14 is not installed'
	exit 77
fi
if git rev-parse --is-inside-work-tree > /dev/null 2>&1; then
	mapfile -t files < <(git ls-files '*.c' '*.h')
else # a source archive
	mapfile -t files < <(find include lib dpdk_app tests perf -name '*.[ch]')
fi
present=()
for f in "${files[@]}"; do
	[ ! -f "$f" ] || present+=("$f")
done
[ ${#present[@]} -gt 0 ] || { echo 'no C file found'; exit 1; }
"$tool" --dry-run -Werror "${present[@]}"
echo "${#present[@]} files"
