#!/bin/bash
# Builds Tidegate for arm64 with Debian's cross compiler and runs its unit tests under qemu.
#
#   scripts/test-arm64.sh               build, run, print `N passed, N failed`
#   scripts/test-arm64.sh --build-only  only the build, in build-arm64/
#
# The libraries, DPDK included, are Debian's own arm64 packages, unpacked into build-arm64-root/;
# they are not installed, so nothing on the machine is changed but for the cross compiler and qemu
# (scripts/setup.sh --arm64). About 75 MB are downloaded the first time. Exit 77: not possible here
# (needs Debian on amd64), 1: a build or a test failed.
set -uo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top" || exit 1
root=$top/build-arm64-root
build='build-arm64'
libs=(libc6-dev libpcre2-dev libssl-dev libnghttp2-dev libprotobuf-c-dev libc-ares-dev libhiredis-dev libdpdk-dev libconfig-dev libmicrohttpd-dev libjansson-dev libcunit1-dev)

say() { printf 'test-arm64: %s\n' "$*"; }
die() { printf 'test-arm64: error: %s\n' "$*" >&2; exit 1; }
skip() { printf 'skipped: %s\n' "$*"; exit 77; }

build_only=no
case ${1:-} in
'') ;;
--build-only) build_only=yes ;;
-h | --help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;;
*) die "unknown argument '$1' (see --help)" ;;
esac

# shellcheck disable=SC1091
[ -r /etc/os-release ] && . /etc/os-release
case ${ID:-}-$(dpkg --print-architecture 2>/dev/null) in
debian-amd64) ;;
*) skip 'the arm64 packages come from the sources of a Debian on amd64' ;;
esac

# An apt of its own: no package is installed in its world, so it finds all that the libraries need.
fetch() {
	local conf=$root/apt.conf
	mkdir -p "$root/apt/lists/partial" "$root/apt/archives/partial" "$root/usr/lib"
	: >"$root/apt/status"
	cat >"$conf" <<-END
		APT::Architecture "arm64";
		APT::Architectures { "arm64"; };
		Dir::State "$root/apt";
		Dir::State::status "$root/apt/status";
		Dir::Cache "$root/apt";
		Dir::Cache::archives "$root/apt/archives";
		Dir::Log "$root/apt";
	END
	APT_CONFIG=$conf apt-get -q update >"$root/apt.log" 2>&1 &&
		APT_CONFIG=$conf apt-get -q -y --no-install-recommends --download-only \
			install "${libs[@]}" >>"$root/apt.log" 2>&1
}

# Static libraries of DPDK's drivers are most of the bytes, and are not linked.
unpack() {
	local deb link
	ln -sfn usr/lib "$root/lib"
	for deb in "$root"/apt/archives/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$root" \
			--exclude=./usr/share/doc --exclude=./usr/share/man \
			--exclude=./usr/share/locale --exclude='*/librte*.a' || return 1
	done
	# Absolute links would lead out of the root.
	while read -r link; do
		ln -sfn "$(realpath -m --relative-to="$(dirname "$link")" "$root$(readlink "$link")")" \
			"$link"
	done < <(find "$root" -lname '/*')
	rm -rf "$root/apt"
}

prepare() {
	local marker=$root/complete
	if [ "$(cat "$marker" 2>/dev/null)" != "${libs[*]}" ]; then
		say 'fetching arm64 libraries'
		rm -rf "$root"
		fetch || { tail -5 "$root/apt.log"; die 'apt-get failed (is the network there?)'; }
		unpack || die 'a package could not be unpacked'
		printf '%s\n' "${libs[*]}" >"$marker"
	fi
	cat >"$root/cross.ini" <<-END
		[constants]
		root = '$root'
		[binaries]
		c = 'aarch64-linux-gnu-gcc'
		ar = 'aarch64-linux-gnu-ar'
		strip = 'aarch64-linux-gnu-strip'
		pkgconfig = 'pkg-config'
		exe_wrapper = ['qemu-aarch64-static', '-L', root]
		[properties]
		sys_root = root
		pkg_config_libdir = root / 'usr/lib/aarch64-linux-gnu/pkgconfig:' + root / 'usr/share/pkgconfig'
		[built-in options]
		c_args = ['--sysroot=' + root]
		c_link_args = ['--sysroot=' + root]
		[host_machine]
		system = 'linux'
		cpu_family = 'aarch64'
		cpu = 'aarch64'
		endian = 'little'
	END
}

run() {
	"$@" >"$root/build.log" 2>&1 || { tail -n 60 "$root/build.log"; die "$1 failed"; }
}

scripts/setup.sh --arm64 || exit 1
prepare
if [ ! -f $build/build.ninja ]; then
	rm -rf $build
	run meson setup $build --cross-file "$root/cross.ini" --buildtype=debugoptimized
fi
# The programs too: they are what would be shipped.
# shellcheck disable=SC2046
run ninja -C $build dpdk_app/tidegate dpdk_app/tgctl $(python3 scripts/test_targets.py $build unit)
[ $build_only = no ] || exit 0

rm -f $build/meson-logs/tg-unit.json
meson test -C $build --no-rebuild --suite unit -t 8 --logbase tg-unit --print-errorlogs
counts=$(python3 scripts/count_tests.py $build/meson-logs/tg-unit.json 'unit on arm64')
printf '%s\n' "$counts" | sed '$d'
read -r passed failed skipped <<<"$(printf '%s\n' "$counts" | tail -n 1)"
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ]
