#!/usr/bin/env bash
# Runs a command on a bare Debian root: tools/bare_root.sh [-s SUITE] [-k] COMMAND...
# The root is made by mmdebstrap (essential packages and apt, nothing else) in a temporary folder, the
# committed tree is copied to /berth in it, /proc, /sys and /dev are mounted, and COMMAND runs there by
# chroot in namespaces of its own. -s: bookworm (default) or trixie. -k: keep the root.
# As root. Certificates and the client configuration of pip and apt are taken from this machine.
set -euo pipefail
suite=bookworm keep=''
while getopts s:k o; do
    case $o in
    s) suite=$OPTARG ;;
    k) keep=yes ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || { echo "usage: tools/bare_root.sh [-s SUITE] [-k] COMMAND..." >&2; exit 2; }
tree=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
leave() { [ -n "$keep" ] && echo "kept: $work/root" || rm -rf --one-file-system "$work"; }
trap leave EXIT

began=$SECONDS
mmdebstrap --quiet --variant=apt --include=ca-certificates "$suite" "$work/root"
for path in /etc/ssl/certs/ca-certificates.crt /etc/apt/apt.conf.d /etc/pip.conf /etc/xdg/pip; do
    [ -e "$path" ] || continue
    mkdir -p "$work/root$(dirname "$path")"
    cp -rL "$path" "$work/root$(dirname "$path")/"
done
cp -L /etc/resolv.conf /etc/hosts "$work/root/etc/"
git clone -q "$tree" "$work/root/berth"
echo "bare root of $suite: $(du -sm "$work/root" | cut -f 1) MB, made in $((SECONDS - began)) s"

keep_environment=()
for name in $(compgen -e | grep -iE '^(https?_proxy|no_proxy|PIP_.*|SSL_CERT_.*)$' || true); do
    [ "$name" = PIP_FIND_LINKS ] || keep_environment+=("$name=${!name}")
done
unshare --mount --pid --fork --kill-child bash -euc '
    root=$1
    shift
    mount --make-rprivate /
    mount -t proc proc "$root/proc"
    mount --rbind /sys "$root/sys"
    mount --rbind /dev "$root/dev"
    exec chroot "$root" "$@"' bare "$work/root" \
    env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    "${keep_environment[@]}" bash -c 'cd /berth && exec "$@"' run "$@"
