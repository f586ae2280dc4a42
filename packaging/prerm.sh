#!/bin/sh
# Before removal: stop. An upgrade keeps running until postinst restarts it.
set -e

[ "$1" = remove ] || exit 0
command -v systemctl >/dev/null || exit 0
if [ -d /run/systemd/system ]; then
	systemctl stop gtiv.service || true
fi
systemctl disable gtiv.service >/dev/null 2>&1 || true
