#!/bin/sh
# After removal. The site's data goes only on purge, which asks for just that;
# the user and groups stay, because backups may hold files of theirs.
set -e

if [ "$1" = purge ]; then
	rm -rf /var/lib/gtiv /var/cache/gtiv /etc/gtiv
fi
if [ -d /run/systemd/system ] && command -v systemctl >/dev/null; then
	systemctl daemon-reload || true
fi
