#!/bin/sh
# Runs test programs against a PostgreSQL server of their own: made in a temporary folder, reached
# by a socket in it, removed at the end. Skips (status 77) where PostgreSQL is not installed.
#
#   with_postgres.sh PROGRAM...
#
# The programs find its address in MALIANG_TEST_DATABASE (tests/store/scratch.h).
set -u
bin=''
for folder in /usr/lib/postgresql/*/bin; do
    [ ! -x "$folder/postgres" ] || bin=$folder # the newest comes last
done
if [ -z "$bin" ]; then
    echo "skipped: PostgreSQL is not installed here (Debian's package postgresql)"
    exit 77
fi

base=${TMPDIR:-/dev/shm}
[ -d "$base" ] && [ -w "$base" ] || base=/tmp
work=$(mktemp -d "$base/maliang-pg-XXXXXX") || exit 1
server=''
# shellcheck disable=SC2317  # called by the trap
clean() {
    if [ -n "$server" ]; then
        kill -QUIT "$server" 2>/dev/null # at once: nothing of it is needed any more
        wait "$server" 2>/dev/null
    fi
    rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM HUP

# PostgreSQL refuses to be root. A server whose shell was killed outright ends with it.
if [ "$(id -u)" -eq 0 ]; then
    chown nobody "$work"
    user='setpriv --reuid=nobody --regid=nogroup --clear-groups'
    setpriv --pdeathsig QUIT true 2>/dev/null && user="$user --pdeathsig QUIT"
else
    user=''
fi
die() {
    echo "with_postgres.sh: $1" >&2
    [ ! -f "$work/log" ] || tail -n 20 "$work/log" >&2
    exit 1
}
# shellcheck disable=SC2086  # words
(cd "$work" && $user "$bin/initdb" -D "$work/data" -U maliang -A trust -E UTF8 --locale=C.UTF-8 --no-sync \
    >"$work/log" 2>&1) || die "initdb failed"
cat >>"$work/data/postgresql.conf" <<END
listen_addresses = ''
unix_socket_directories = '$work'
fsync = off
full_page_writes = off
synchronous_commit = off
shared_buffers = 16MB
max_connections = 50
END
# shellcheck disable=SC2086
(cd "$work" && exec $user "$bin/postgres" -D "$work/data" >>"$work/log" 2>&1) &
server=$!
tries=0
until "$bin/pg_isready" -q -h "$work" -U maliang; do
    tries=$((tries + 1))
    if [ $tries -ge 300 ] || ! kill -0 "$server" 2>/dev/null; then die "the server did not start"; fi
    sleep 0.1
done

MALIANG_TEST_DATABASE="postgresql://maliang@/postgres?host=$work"
export MALIANG_TEST_DATABASE
status=0
for program in "$@"; do
    "$program" || status=1
done
exit $status
