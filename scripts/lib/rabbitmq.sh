# RabbitMQ for scripts/services: DIR/rabbitmq holds its database, cookie and log, DIR/rabbitmq.log what it prints. It has an
# Erlang port mapper (epmd) of its own, so that any number of instances live side by side. Uses $dir and the settings.

# Sets rabbitmq_bin to the folder with rabbitmq-server. The one in Debian's /usr/sbin is a wrapper for the system's own
# instance and is not used.
rabbitmq_find() {
  local folder
  rabbitmq_bin=${EFFACE_RABBITMQ_BIN:-}
  if [ -z "$rabbitmq_bin" ]; then
    for folder in /usr/lib/rabbitmq/bin $(ls -d /usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin 2>/dev/null | sort -r) \
      /opt/homebrew/opt/rabbitmq/sbin /usr/local/opt/rabbitmq/sbin \
      "$(dirname "$(command -v rabbitmq-server || echo /nowhere/rabbitmq-server)")"; do
      if [ -x "$folder/rabbitmq-server" ]; then
        rabbitmq_bin=$folder
        break
      fi
    done
  fi
  if [ -z "$rabbitmq_bin" ] || [ ! -x "$rabbitmq_bin/rabbitmq-server" ]; then
    echo "services: no RabbitMQ server found (Debian: apt-get install rabbitmq-server; Homebrew: brew install rabbitmq)" >&2
    return 1
  fi
  epmd_binary=$(command -v epmd || ls -d /usr/lib/erlang/erts-*/bin/epmd 2>/dev/null | tail -n 1)
  [ -n "$epmd_binary" ] && return 0
  echo "services: no epmd found: it comes with Erlang (Debian: erlang-base)" >&2
  return 1
}

rabbitmq_start() {
  local user home=$dir/rabbitmq
  rabbitmq_find
  if running rabbitmq; then
    wait_until rabbitmq_answers rabbitmq 120
    return
  fi
  user=$(account rabbitmq)
  own "$home" "$user"
  rabbitmq_write_config "$home" "$user"
  running epmd || launch epmd "$user" "$epmd_binary" -address 127.0.0.1 -port "$epmd_port"
  wait_until epmd_answers epmd 20
  # RUNNING_UNDER_SYSTEMD makes the start script become the server, instead of staying in front of it. The boot loads a
  # thousand small files through the input/output schedulers: letting those spin for a moment (+sbwtdio) saves 1.3 of 4.2 s.
  launch rabbitmq "$user" env HOME="$home" RUNNING_UNDER_SYSTEMD=true \
    ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT="$epmd_port" ERL_CRASH_DUMP="$home/erl_crash.dump" \
    RABBITMQ_NODENAME=efface@localhost RABBITMQ_DIST_PORT="$dist_port" RABBITMQ_NODE_PORT="$rabbitmq_port" \
    RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 \
    RABBITMQ_CONF_ENV_FILE="$home/env.conf" RABBITMQ_CONFIG_FILE="$home/rabbitmq.config" \
    RABBITMQ_ADVANCED_CONFIG_FILE="$home/advanced.config" RABBITMQ_ENABLED_PLUGINS_FILE="$home/enabled_plugins" \
    RABBITMQ_MNESIA_BASE="$home/mnesia" RABBITMQ_LOG_BASE="$home/log" RABBITMQ_LOGS="$home/log/rabbitmq.log" \
    RABBITMQ_PLUGINS_EXPAND_DIR="$home/plugins" RABBITMQ_PID_FILE="$home/pid" \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1} +sbwtdio short" \
    "$rabbitmq_bin/rabbitmq-server"
  wait_until rabbitmq_answers rabbitmq 120
}

# The settings are Erlang terms because the newer format costs a second or two at every start.
rabbitmq_write_config() {
  local home=$1
  if [ ! -f "$home/.erlang.cookie" ]; then
    (umask 077 && random_hex 20 >"$home/.erlang.cookie.new")
    chmod 400 "$home/.erlang.cookie.new"
    mv "$home/.erlang.cookie.new" "$home/.erlang.cookie"
  fi
  : >"$home/env.conf"
  echo '[].' >"$home/enabled_plugins"
  echo '[].' >"$home/advanced.config"
  (umask 077 && cat >"$home/rabbitmq.config") <<CONF
[{rabbit, [
   {tcp_listeners, [{"127.0.0.1", $rabbitmq_port}]},
   {default_user, <<"efface">>}, {default_pass, <<"$password">>},
   {default_user_tags, [administrator]}, {loopback_users, []},
   {vm_memory_high_watermark, {absolute, 1073741824}},
   {disk_free_limit, 104857600}]},
 {ra, [{wal_max_size_bytes, 67108864}]}].
CONF
  [ "$(id -u)" != 0 ] || chown -R "$2" "$home"
}

epmd_answers() { listening "$epmd_port"; }

# Says hello in AMQP 0-9-1 and expects a method frame (a byte 1) back. The listener opens as the last step of the boot.
rabbitmq_answers() {
  (
    exec 3<>"/dev/tcp/127.0.0.1/$rabbitmq_port" || exit 1
    printf 'AMQP\0\0\11\1' >&3
    IFS= read -r -t 5 -n 1 frame <&3 && [ "$frame" = $'\1' ]
  ) 2>/dev/null
}

rabbitmq_kill() { end rabbitmq KILL 10; }

rabbitmq_stop() { end rabbitmq TERM 20 && end epmd KILL 5; }

rabbitmq_client() {
  rabbitmq_find
  exec env HOME="$dir/rabbitmq" ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT="$epmd_port" RABBITMQ_NODENAME=efface@localhost \
    RABBITMQ_CONF_ENV_FILE="$dir/rabbitmq/env.conf" RABBITMQ_CTL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}" \
    "$rabbitmq_bin/rabbitmqctl" "$@"
}
