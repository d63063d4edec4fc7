# The same two services by `docker compose`, for machines that have neither server but do have Docker. Uses $dir and the
# settings. `stop` removes the containers with their data.

docker_compose() {
  docker compose --project-name "efface-services-$(printf %s "$dir" | cksum | cut -d' ' -f1)" \
    --file "$dir/compose.yml" "$@"
}

# True when a daemon answers and knows compose.
docker_find() {
  docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1 && return 0
  echo "services: no Docker daemon with the compose plugin answers" >&2
  return 1
}

docker_running() {
  [ -f "$dir/compose.yml" ] && [ -n "$(docker_compose ps --status running --quiet "$1" 2>/dev/null)" ]
}

docker_start() {
  docker_write_file
  docker_compose up --detach --wait --wait-timeout 180 --quiet-pull "$1" >>"$dir/$1.log" 2>&1 && return 0
  tail -n 15 "$dir/$1.log" >&2
  return 1
}

docker_kill() { docker_compose kill --signal SIGKILL "$1" >>"$dir/$1.log" 2>&1; }

docker_stop() { [ ! -f "$dir/compose.yml" ] || docker_compose down --volumes --timeout 10 >>"$dir/compose.log" 2>&1; }

docker_client() {
  case $1 in
    postgres) docker_compose exec --env PGPASSWORD="$password" postgres psql -X -h 127.0.0.1 -U efface -d efface "${@:2}" ;;
    rabbitmq) docker_compose exec rabbitmq rabbitmqctl "${@:2}" ;;
  esac
}

docker_write_file() {
  local draft=$dir/compose.yml.$BASHPID
  (umask 077 && cat >"$draft") <<YAML
services:
  postgres:
    image: postgres:16
    command: ["postgres", "-c", "max_connections=200", "-c", "shared_buffers=256MB", "-c", "fsync=on"]
    environment: { POSTGRES_USER: efface, POSTGRES_PASSWORD: "$password", POSTGRES_DB: efface }
    ports: ["127.0.0.1:$postgres_port:5432"]
    healthcheck:
      test: ["CMD", "pg_isready", "-q", "-h", "127.0.0.1", "-U", "efface"]
      interval: 1s
      retries: 120
  rabbitmq:
    image: rabbitmq:4
    hostname: efface
    environment: { RABBITMQ_DEFAULT_USER: efface, RABBITMQ_DEFAULT_PASS: "$password" }
    ports: ["127.0.0.1:$rabbitmq_port:5672"]
    healthcheck:
      test: ["CMD", "rabbitmq-diagnostics", "-q", "check_port_connectivity"]
      interval: 2s
      timeout: 20s
      retries: 60
YAML
  mv "$draft" "$dir/compose.yml"
}
