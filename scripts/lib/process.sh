# Starting, recognising and killing processes of our own. Sourced by scripts/services; uses $dir.
#
# A process is remembered in DIR/NAME.pid as its id and its start time: an id alone may belong to a stranger by now.

die() {
  echo "services: $*" >&2
  exit 1
}

random_hex() {
  od -An -N "$1" -tx1 /dev/urandom | tr -d ' \n'
}

# Start time of a process, or nothing when it is gone. A zombie is gone: nobody may ever reap it in a container.
started_at() {
  if [ -r /proc/self/stat ]; then
    local stat fields
    # The braces take the shell's own complaint about a missing file along with the rest.
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 0
    read -r -a fields <<<"${stat##*) }"
    case ${fields[0]:-Z} in Z | X) return 0 ;; esac
    echo "${fields[19]}"
  else
    case $(ps -o stat= -p "$1" 2>/dev/null) in
      '' | Z*) ;;
      *) ps -o lstart= -p "$1" | tr -s ' ' '-' ;;
    esac
  fi
}

# True when the process that DIR/NAME.pid remembers still lives.
running() {
  local pid since
  [ -s "$dir/$1.pid" ] || return 1
  read -r pid since <"$dir/$1.pid" || return 1
  [ -n "$since" ] && [ "$(started_at "$pid")" = "$since" ]
}

pid_of() {
  local pid=''
  [ -s "$dir/$1.pid" ] && read -r pid _ <"$dir/$1.pid"
  [ -n "$pid" ] && echo " (process $pid)"
}

# launch NAME ACCOUNT COMMAND…: runs it in the background in a process group of its own, as ACCOUNT when we are root, with
# nothing of our environment but the path, its output appended to DIR/NAME.log.
launch() {
  local name=$1 account=$2 pid soft
  shift 2
  if [ "$(id -u)" = 0 ]; then
    set -- setpriv --reuid="$account" --regid="$(id -g "$account")" --clear-groups -- "$@"
  fi
  # Erlang closes every file descriptor up to the limit when it starts: a limit of a billion costs minutes.
  soft=$(ulimit -n)
  case $soft in unlimited) soft=1000000000 ;; esac
  set -m
  (
    if [ "$soft" -gt 65536 ]; then ulimit -S -n 65536; fi
    cd "$dir/$name" 2>/dev/null || cd /
    exec env -i PATH="$PATH" LANG=C.UTF-8 TZ=UTC "$@"
  ) </dev/null >>"$dir/$name.log" 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &
  pid=$!
  set +m
  disown "$pid" 2>/dev/null || true
  echo "$pid $(started_at "$pid")" >"$dir/$name.pid"
}

# The account a service runs as: ours, unless we are root. The first of the named ones that exists.
account() {
  if [ "$(id -u)" != 0 ]; then
    id -un
    return
  fi
  command -v setpriv >/dev/null || die "run as root this needs setpriv (package util-linux)"
  local name
  for name in "$@" nobody; do
    if id -u "$name" >/dev/null 2>&1; then
      echo "$name"
      return
    fi
  done
  die "run as root this needs one of the accounts: $* nobody"
}

# own FOLDER ACCOUNT: makes it, for ACCOUNT alone, and checks that ACCOUNT can reach it.
own() {
  mkdir -p "$1"
  chmod 700 "$1"
  [ "$(id -u)" = 0 ] || return 0
  chown "$2" "$1"
  setpriv --reuid="$2" --clear-groups -- test -w "$1" ||
    die "the account $2 cannot reach $1: choose a folder that is open to others, like one in /tmp"
}

# Waits until `$1` succeeds; gives up when the process NAME ends or after SECONDS.
wait_until() {
  local probe=$1 name=$2 seconds=$3 deadline
  deadline=$((SECONDS + seconds))
  until "$probe"; do
    if ! running "$name"; then
      echo "services: $name ended while starting; the end of $dir/$name.log:" >&2
      tail -n 15 "$dir/$name.log" >&2
      return 1
    fi
    if [ "$SECONDS" -ge "$deadline" ]; then
      echo "services: $name does not answer after $seconds s; see $dir/$name.log" >&2
      return 1
    fi
    sleep 0.05
  done
}

# end NAME SIGNAL SECONDS: signals it, waits, and kills what is left. Succeeds when it is gone.
end() {
  local pid deadline
  if running "$1"; then
    read -r pid _ <"$dir/$1.pid"
    kill -s "$2" "$pid" 2>/dev/null || true
    deadline=$((SECONDS + $3))
    while running "$1"; do
      [ "$SECONDS" -lt "$deadline" ] || kill -s KILL "$pid" 2>/dev/null || true
      sleep 0.02
    done
  fi
  rm -f "$dir/$1.pid"
}

listening() {
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# choose_port VARIABLE: keeps the port it holds when that is free, else sets another. Ports stay below the range that
# systems hand out for outgoing connections: while a killed server is away, no client may end up on its port.
choose_port() {
  local port=${!1} tries=0
  while [ "$port" = 0 ] || listening "$port" || case " $taken_ports " in *" $port "*) true ;; *) false ;; esac; do
    port=$((12000 + RANDOM % 20000))
    tries=$((tries + 1))
    [ "$tries" -lt 200 ] || die "found no free port between 12000 and 32000"
  done
  taken_ports="$taken_ports $port"
  printf -v "$1" %s "$port"
}
