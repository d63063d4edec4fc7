# PostgreSQL for scripts/services: DIR/postgres is its data, DIR/postgres.log its log. Uses $dir and the settings.

# Sets postgres_bin to the folder of the newest server found.
postgres_find() {
  local folder
  postgres_bin=${EFFACE_POSTGRES_BIN:-}
  if [ -z "$postgres_bin" ]; then
    for folder in $(postgres_folders); do
      if [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ]; then
        postgres_bin=$folder
        break
      fi
    done
  fi
  [ -n "$postgres_bin" ] && [ -x "$postgres_bin/postgres" ] && return 0
  echo "services: no PostgreSQL server found (Debian: apt-get install postgresql; Homebrew: brew install postgresql)" >&2
  return 1
}

postgres_folders() {
  ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -t/ -k5,5nr
  ls -d /usr/pgsql-*/bin /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin 2>/dev/null | sort -r
  dirname "$(command -v postgres || echo /nowhere/postgres)"
}

postgres_start() {
  local user
  postgres_find
  if ! running postgres; then
    user=$(account postgres)
    own "$dir/postgres" "$user"
    [ -f "$dir/postgres/ready" ] || postgres_create "$user"
    # Nobody of ours lives, so this file is a leftover; with a zombie's or a stranger's id in it the server would not start.
    rm -f "$dir/postgres/data/postmaster.pid"
    launch postgres "$user" "$postgres_bin/postgres" -D "$dir/postgres/data" -p "$postgres_port"
  fi
  wait_until postgres_answers postgres 120
  [ -f "$dir/postgres/ready" ] && return 0
  # The database may be there from a start that was cut short between these lines.
  postgres_psql -d postgres -Atc "select 1 from pg_database where datname = 'efface'" | grep -q 1 ||
    postgres_psql -d postgres -qc 'create database efface'
  touch "$dir/postgres/ready"
}

# A new cluster; half of one, from a start that was cut short, is removed first.
postgres_create() {
  local data=$dir/postgres/data
  rm -rf "$data"
  (umask 077 && echo "$password" >"$dir/postgres/password")
  [ "$(id -u)" != 0 ] || chown "$1" "$dir/postgres/password"
  # In the foreground, unlike `launch`. Clear-text passwords on loopback: SCRAM costs an unoptimised client dearly.
  set -- "$1" env -i PATH="$PATH" LANG=C.UTF-8 "$postgres_bin/initdb" -D "$data" -U efface -E UTF8 --locale=C \
    --pwfile="$dir/postgres/password" --auth=password --no-sync --no-instructions
  [ "$(id -u)" != 0 ] || set -- "$1" setpriv --reuid="$1" --regid="$(id -g "$1")" --clear-groups -- "${@:2}"
  shift
  if ! (cd "$dir/postgres" && "$@") >"$dir/initdb.log" 2>&1; then
    cat "$dir/initdb.log" >&2
    die "initdb failed"
  fi
  rm -f "$dir/postgres/password"
  cat >>"$data/postgresql.conf" <<'CONF'
# What follows is set by scripts/services.
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
shared_buffers = 256MB
fsync = on
timezone = 'UTC'
log_timezone = 'UTC'
logging_collector = off          # the log is standard error, which scripts/services sends to a file
log_line_prefix = '%m [%p] '
CONF
}

postgres_answers() {
  env -i PATH="$PATH" "$postgres_bin/pg_isready" -q -h 127.0.0.1 -p "$postgres_port" -d efface
}

# SIGKILL to the server and to every process of it, as when the machine kills them; returns when all are gone.
postgres_kill() {
  local pid children child
  running postgres || return 0
  read -r pid _ <"$dir/postgres.pid"
  children=$(ps -A -o pid= -o ppid= | awk -v parent="$pid" '$2 == parent { print $1 }')
  end postgres KILL 10
  for child in $children; do kill -s KILL "$child" 2>/dev/null || true; done
  for child in $children; do
    while [ -n "$(started_at "$child")" ]; do sleep 0.02; done
  done
}

# SIGINT is PostgreSQL's "fast" shutdown: it disconnects clients and writes everything down.
postgres_stop() { end postgres INT 20; }

postgres_client() {
  postgres_find
  postgres_psql -d efface "$@"
}

postgres_psql() {
  PGPASSWORD=$password "$postgres_bin/psql" -X -h 127.0.0.1 -p "$postgres_port" -U efface "$@"
}
