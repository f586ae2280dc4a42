#!/bin/sh
# Says what to do next; `make run` calls it: welcome.sh DATA PORT_OFFSET
data=$1
n=$2
port() { echo $(($1 + n)); }
cat <<EOT

gtiv starts on $data. Stop it with Ctrl-C; the data stays.

Next, in another terminal:
  ./bin/gtiv status --data $data                  how it does
  ./bin/gtiv user add NAME --admin --data $data   the first administrator
  http://localhost:$(port 2015)/live/                   go live, watch (also /video/ for short videos)
  http://localhost:$(port 2015)/docs                    every call, with examples

Phones: build the app with this machine's address as its host. It uses the
ports $(port 2004) (chat), $(port 2009) and $(port 2015) (HTTP), $(port 2012) (live video); open them in the firewall,
and $(port 2011) (RTMP) for those who stream with OBS.
Settings: packaging/gtiv.toml says what there is; ./bin/gtiv config check --config FILE.

EOT
