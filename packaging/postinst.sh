#!/bin/sh
# After unpacking: make the user and groups, then start (first install) or
# restart (upgrade). What the administrator disabled stays disabled.
set -e

[ "$1" = configure ] || exit 0
before="$2" # version that was configured before, empty on the first install

if command -v systemd-sysusers >/dev/null; then
	systemd-sysusers gtiv.conf
else
	for group in gtiv gtiv-admin gtiv-moderator gtiv-viewer; do
		getent group "$group" >/dev/null || groupadd --system "$group"
	done
	getent passwd gtiv >/dev/null ||
		useradd --system --gid gtiv --home-dir /var/lib/gtiv --no-create-home --shell /usr/sbin/nologin gtiv
fi

if [ -z "$before" ] && [ -f /etc/gtiv/gtiv.toml ]; then
	chgrp gtiv /etc/gtiv/gtiv.toml
	chmod 0640 /etc/gtiv/gtiv.toml
fi

command -v systemctl >/dev/null || exit 0
if [ -z "$before" ]; then
	systemctl enable gtiv.service >/dev/null 2>&1 || true
fi
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload
if [ -z "$before" ]; then
	action=start
else
	action=try-restart
fi
# A server that does not start must not leave the package half configured.
if ! systemctl "$action" gtiv.service; then
	echo "gtiv did not start; see: journalctl -u gtiv" >&2
fi
