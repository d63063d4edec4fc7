# What scripts/test needs before it can begin: Rust's tools, the two servers, the packages of npm and PyPI. Each function either
# provides it or says exactly what is missing. Sourced by scripts/test; uses $work.

require_rust() {
  if ! command -v cargo >/dev/null; then
    echo "test: cargo is missing: install Rust from https://rustup.rs" >&2
    return 1
  fi
  if ! cargo fmt --version >/dev/null 2>&1 || ! cargo clippy --version >/dev/null 2>&1; then
    # Asked for outside this folder's tools only when they are missing: rustup's minimal profile leaves them out.
    rustup component add rustfmt clippy && return 0
    echo "test: rustfmt and clippy are missing: \`rustup component add rustfmt clippy\`" >&2
    return 1
  fi
}

# Sets database_url and amqp_url when the user gave them, and `private` to the services that are to be started.
provide_services() {
  private='' database_url='' amqp_url=''
  case ${DATABASE_URL:-} in
    postgres://* | postgresql://*) database_url=$DATABASE_URL ;;
    '') ;;
    *) echo "DATABASE_URL is set but is not PostgreSQL: it is not used." ;;
  esac
  amqp_url=${AMQP_URL:-}
  [ -n "$database_url" ] || private=postgres
  [ -n "$amqp_url" ] || private="$private rabbitmq"
  [ -n "$private" ] || return 0
  missing=''
  for name in $private; do
    scripts/services find "$name" 2>/dev/null || missing="$missing $name"
  done
  [ -n "$missing" ] || return 0
  if EFFACE_SERVICES=docker scripts/services find 2>/dev/null; then
    export EFFACE_SERVICES=docker
    return 0
  fi
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && install_packages; then
    scripts/services find && return 0
  fi
  cat >&2 <<TEXT
test: there is no$missing server to test against, and none could be provided. Do one of these:
  - install the servers; they need not run:
      Debian, Ubuntu:  sudo apt-get install postgresql rabbitmq-server
      macOS:           brew install postgresql@16 rabbitmq
  - start Docker (with the compose plugin)
  - set DATABASE_URL=postgres://… (an account that may create databases) and AMQP_URL=amqp://…
  - run what needs no server: ./scripts/test --embedded
TEXT
  return 1
}

# Installs the missing servers. Debian starts what it installs: a policy file forbids it, and systemd is told as well.
install_packages() {
  local packages=''
  case $missing in *postgres*) packages=postgresql ;; esac
  case $missing in *rabbitmq*) packages="$packages rabbitmq-server" ;; esac
  echo "── Installing $packages"
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\n# Written by scripts/test, removed at its end: do not start what is being installed.\nexit 101\n' \
      >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d && policy_written=1
  fi
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2086 # two package names
  apt-get update -q && apt-get install -y -q --no-install-recommends $packages </dev/null
  local status=$?
  undo_policy
  if [ -d /run/systemd/system ]; then
    for name in $packages; do systemctl disable --now "$name" >/dev/null 2>&1; done
  fi
  return "$status"
}

undo_policy() {
  [ -z "${policy_written:-}" ] || rm -f /usr/sbin/policy-rc.d
  policy_written=''
}

# Shopify's own client library signs the webhooks of the npm:: tests. Sets npm_package to its version, or npm_missing to why
# there is none.
provide_npm_package() {
  local folder=$work/npm limit=''
  npm_package='' npm_missing=''
  if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    npm_missing='node and npm are not installed'
    return
  fi
  command -v timeout >/dev/null && limit='timeout 180'
  echo "── Installing @shopify/shopify-api@15 into a temporary folder"
  mkdir -p "$folder" && echo '{"private":true}' >"$folder/package.json"
  if $limit npm install --prefix "$folder" --no-audit --no-fund --ignore-scripts --fetch-retries=1 --loglevel=error \
    '@shopify/shopify-api@15' </dev/null >"$work/npm.log" 2>&1; then
    npm_package=$(node -p "require('$folder/node_modules/@shopify/shopify-api/package.json').version")
    export EFFACE_TEST_SHOPIFY_API=$folder
  else
    npm_missing="npm could not install it: $(grep -m 1 -i 'npm error' "$work/npm.log" || echo 'no answer within 180 s')"
  fi
}

# Other people's verifiers check our receipts, checkpoints and proofs in the pypi:: tests. Sets pypi_packages to their versions, or pypi_missing to why
# there are none.
provide_pypi_packages() {
  local folder=$work/pypi limit=''
  pypi_packages='' pypi_missing=''
  if ! command -v python3 >/dev/null || ! python3 -m pip --version >/dev/null 2>&1; then
    pypi_missing='python3 with pip is not installed'
    return
  fi
  command -v timeout >/dev/null && limit='timeout 180'
  echo "── Installing securesystemslib, in-toto-attestation, jsonschema and sigstore into a temporary folder"
  if $limit python3 -m pip install --target "$folder" --quiet --disable-pip-version-check --no-input --retries 1 \
    --root-user-action=ignore 'securesystemslib[crypto]==1.*' 'in-toto-attestation==0.9.*' 'jsonschema==4.*' 'sigstore==4.*' \
    </dev/null >"$work/pip.log" 2>&1; then
    pypi_packages=$(
      PYTHONPATH=$folder python3 -c 'from importlib.metadata import version
print(", ".join(f"{name} {version(name)}" for name in ["securesystemslib", "in-toto-attestation", "jsonschema", "sigstore"]))'
    )
    export EFFACE_TEST_PYPI=$folder
  else
    pypi_missing="pip could not install them: $(grep -m 1 -i 'error' "$work/pip.log" || echo 'no answer within 180 s')"
  fi
}
