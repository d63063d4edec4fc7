# Running the tests and counting them by what they need. Sourced by scripts/test; uses $work, $embedded, $test_args.
#
# A test says by its module path what it needs: `postgres::`, `rabbitmq::` (PostgreSQL as well), `npm::`, `pypi::`; every other test
# runs on SQLite or on nothing. Tests with `chaos` in their path kill and restart the private services, so they run alone.

run_tests() {
  local began=$SECONDS chaos_too=1
  # The program under test reads these as fallbacks: what the shell happens to hold must not reach it.
  unset DATABASE_URL AMQP_URL RABBITMQ_URL CLOUDAMQP_URL SHOPIFY_API_SECRET
  unset EFFACE_TEST_DATABASE_URL EFFACE_TEST_AMQP_URL EFFACE_TEST_SERVICES
  skipped=()
  echo "── tests: build"
  if ! build_tests; then
    report+=("tests: FAILED, they do not build")
    failed=$((failed + 1))
    return
  fi
  if [ "$embedded" = 1 ]; then
    skipped+=(postgres rabbitmq npm pypi)
  else
    echo "── tests: start the services"
    if ! start_services; then
      report+=("tests: FAILED, the services did not start")
      failed=$((failed + 1))
      return
    fi
    [ -n "$npm_package" ] || skipped+=(npm)
    [ -n "$pypi_packages" ] || skipped+=(pypi)
    [ -n "${EFFACE_TEST_SERVICES:-}" ] || chaos_too=0
  fi
  echo "── tests: run"
  if [ -n "$nextest" ]; then
    with_nextest
  else
    with_libtest
  fi
  report_tests "$((SECONDS - began))"
}

build_tests() {
  nextest=''
  cargo nextest --version >/dev/null 2>&1 && nextest=1
  if [ -n "$nextest" ]; then
    cargo nextest run $locked --workspace --no-run
  else
    cargo test $locked --workspace --no-run
  fi
}

start_services() {
  local only=''
  if [ -n "$private" ]; then
    case $private in
      *postgres*rabbitmq*) ;;
      *) only=${private# } ;;
    esac
    scripts/services start "$work/services" $only >/dev/null || return 1
    . "$work/services/env"
  fi
  export EFFACE_TEST_DATABASE_URL=${database_url:-$DATABASE_URL} EFFACE_TEST_AMQP_URL=${amqp_url:-$AMQP_URL}
  unset DATABASE_URL AMQP_URL
  # Only services of our own may be killed.
  [ -n "$only" ] || [ -z "$private" ] || export EFFACE_TEST_SERVICES=$work/services
  postgres_version=$(postgres_version)
  rabbitmq_version=$(rabbitmq_version)
}

postgres_version() {
  local psql
  psql=$(command -v psql || ls -d /usr/lib/postgresql/*/bin/psql 2>/dev/null | tail -n 1)
  if [ -n "${EFFACE_TEST_SERVICES:-}" ]; then
    scripts/services psql "$EFFACE_TEST_SERVICES" -Atc 'show server_version' </dev/null
  elif [ -n "$psql" ]; then
    "$psql" -X "$EFFACE_TEST_DATABASE_URL" -Atc 'show server_version' </dev/null
  else
    echo 'of unknown version (no psql here)'
  fi | cut -d' ' -f1
}

# The broker says its version in the first frame that it sends.
rabbitmq_version() {
  local address=${EFFACE_TEST_AMQP_URL#*://} version=''
  address=${address%%/*}
  address=${address##*@}
  case $EFFACE_TEST_AMQP_URL in
    amqp://*)
      version=$(
        exec 3<>"/dev/tcp/${address%%:*}/$(case $address in *:*) echo "${address##*:}" ;; *) echo 5672 ;; esac)" &&
          printf 'AMQP\0\0\11\1' >&3 &&
          dd bs=8192 count=1 <&3 2>/dev/null | LC_ALL=C tr -c '[:print:]' '\n' |
          awk 'named && /^[0-9]+\./ { print; exit } /versionS$/ { named = 1 }'
      ) 2>/dev/null
      ;;
  esac
  echo "${version:-of unknown version}"
}

with_nextest() {
  local filter='all()' name
  for name in ${skipped[@]+"${skipped[@]}"}; do filter="$filter - test(/(^|::)$name::/)"; done
  [ "$chaos_too" = 1 ] || filter="$filter - (test(/chaos/) & test(/(^|::)(postgres|rabbitmq)::/))"
  NEXTEST_STATUS_LEVEL=pass cargo nextest run $locked --workspace --no-fail-fast --no-tests=warn -E "$filter" \
    ${test_args[@]+"${test_args[@]}"} 2>&1 | tee "$work/tests.log"
  tests_status=$?
  # PASS [   0.005s] ( 1/12) efface::it postgres::intake::name   → verdict and name; repeated at the end for failures
  LC_ALL=C sed -nE "s/$(printf '\033')\[[0-9;]*m//g"'; s/^ *(PASS|LEAK|FAIL|TIMEOUT|ABORT|SIG[A-Z]+|LEAK-FAIL) +\[[^]]*\] (\([^)]*\) )?/\1 /p' \
    "$work/tests.log" | awk '{ print ($1 == "PASS" || $1 == "LEAK") ? "ok" : "failed", $2 "$" $3 }' | sort -u >"$work/results"
  ignored=$(cargo nextest list $locked --workspace --run-ignored only --message-format oneline -E "$filter" 2>/dev/null | wc -l)
  # nextest leaves the examples in the docs to cargo.
  if [ "${#test_args[@]}" = 0 ]; then
    cargo test $locked --workspace --doc 2>&1 | tee "$work/doc.log" || tests_status=1
    read_libtest "$work/doc.log" >>"$work/results"
  fi
}

with_libtest() {
  local skips=() name
  for name in ${skipped[@]+"${skipped[@]}"}; do skips+=(--skip "$name::"); done
  tests_status=0
  if [ "${#test_args[@]}" -gt 0 ]; then
    cargo test $locked --workspace --no-fail-fast -- ${skips[@]+"${skips[@]}"} "${test_args[@]}" 2>&1 |
      tee "$work/tests.log" || tests_status=1
  else
    cargo test $locked --workspace --no-fail-fast -- --skip chaos ${skips[@]+"${skips[@]}"} 2>&1 |
      tee "$work/tests.log" || tests_status=1
    [ "$chaos_too" = 1 ] || skips+=(--skip postgres:: --skip rabbitmq::)
    cargo test $locked --workspace --no-fail-fast --lib --bins --tests -- chaos --test-threads=1 \
      ${skips[@]+"${skips[@]}"} 2>&1 | tee -a "$work/tests.log" || tests_status=1
  fi
  read_libtest "$work/tests.log" >"$work/results"
  ignored=$(grep -cE '^test .* \.\.\. ignored' "$work/tests.log")
}

# Lines like `test postgres::intake::name ... ok` → verdict and name, with the number of the binary that printed it.
read_libtest() {
  awk '/^ *(Running|Doc-tests) / { binary++ }
    /^test .* \.\.\. / && !/ \.\.\. ignored/ { verdict = $NF == "ok" ? "ok" : "failed"; sub(/^test /, ""); sub(/ \.\.\. .*/, "")
      gsub(/ /, "_"); print verdict, FILENAME binary "$" $0 }' "$1"
}

count() { grep -cE "$1" "$work/results"; }

# Adds the closing lines of the tests: what ran against what, or why it did not.
report_tests() {
  local tests_passed tests_failed verdict=ok name npm pypi rabbitmq postgres runner='cargo test'
  tests_passed=$(count '^ok ')
  tests_failed=$(count '^failed ')
  npm=$(count '[$:]npm::')
  pypi=$(count '[$:]pypi::')
  rabbitmq=$(grep -vE '[$:](npm|pypi)::' "$work/results" | grep -cE '[$:]rabbitmq::')
  postgres=$(grep -vE '[$:](npm|pypi|rabbitmq)::' "$work/results" | grep -cE '[$:]postgres::')
  local embedded_too=$((tests_passed + tests_failed - npm - pypi - rabbitmq - postgres))
  # No test failed by name, yet the runner is not content: it was cut short, or a process died without a word.
  if [ "$tests_failed" = 0 ] && [ "$tests_status" != 0 ]; then tests_failed=1; fi
  passed=$((passed + tests_passed)) failed=$((failed + tests_failed))
  [ "$tests_failed" = 0 ] || verdict=FAILED
  [ -z "$nextest" ] || runner='cargo nextest'
  report+=("tests: $verdict ($1 s with the build, by $runner)")
  while read -r _ name; do
    report+=("  failed: ${name#*\$}")
  done < <(grep '^failed ' "$work/results")
  [ "${#test_args[@]}" = 0 ] || report+=("  only those that match: ${test_args[*]}")
  report+=("  SQLite, or no server: $embedded_too tests")
  [ "$ignored" -eq 0 ] || report+=("  marked #[ignore], not run: $((ignored)) tests")
  if [ "$embedded" = 1 ]; then
    report+=("  PostgreSQL, RabbitMQ, packages of npm and PyPI: not run (--embedded)")
    return
  fi
  report+=("  PostgreSQL $postgres_version ($(origin "$database_url" DATABASE_URL)): $postgres tests")
  report+=("  RabbitMQ $rabbitmq_version ($(origin "$amqp_url" AMQP_URL)): $rabbitmq tests")
  if [ -n "$npm_package" ]; then
    report+=("  npm @shopify/shopify-api $npm_package: $npm tests")
  else
    report+=("  npm @shopify/shopify-api: not run, $npm_missing")
  fi
  if [ -n "$pypi_packages" ]; then
    report+=("  PyPI $pypi_packages: $pypi tests")
  else
    report+=("  PyPI securesystemslib and others: not run, $pypi_missing")
  fi
  if [ "$chaos_too" = 0 ]; then
    report+=("  chaos tests with servers: not run, they kill only services that this script started")
  fi
}

origin() {
  if [ -n "$1" ]; then
    echo "from $2"
  elif [ "${EFFACE_SERVICES:-}" = docker ]; then
    echo 'in Docker'
  else
    echo 'private instance'
  fi
}
