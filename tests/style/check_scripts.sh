#!/bin/bash
# Every shell script parses and passes shellcheck (where there is one); every Python file compiles.
set -euo pipefail
cd "$1"
mapfile -t sh < <(find scripts tests perf .ci -type f \( -name '*.sh' -o -path '.ci/run' \) 2> /dev/null)
[ ${#sh[@]} -gt 0 ] || { echo 'no script found'; exit 1; }
bad=0
for f in "${sh[@]}"; do
	bash -n "$f" || bad=1
	[ -x "$f" ] || { echo "$f: not executable"; bad=1; }
done
if command -v shellcheck > /dev/null; then
	shellcheck "${sh[@]}" || bad=1
else
	echo 'shellcheck is not installed: syntax only'
fi
while read -r f; do
	/usr/bin/python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' "$f" || bad=1
done < <(find scripts tests perf -name '*.py' 2> /dev/null)
[ "$bad" = 0 ] && echo "${#sh[@]} shell scripts"
exit "$bad"
