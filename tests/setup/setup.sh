#!/usr/bin/env bash
# Gets what the whole test-suite needs on a fresh Debian 12: packages from apt, and real phone
# systems (two Asterisks, a Kamailio), a database and a directory (MariaDB, OpenLDAP) unpacked into a
# cache folder outside the clone, so that none of them is installed or started on this machine. Safe to
# run again at any time; does nothing when everything is there. What cannot be had is told in one line and
# noted under $LAB/missing/, where
# the tests read why they skip.
#
#   setup.sh valgrind   also what only `make bench` needs
#   PINKAS_LAB          the cache folder, instead of ~/.cache/pinkas-lab
#   PINKAS_REQUIRE_ALL  1: fail at the end when a part is missing
set -euo pipefail

LAB=${PINKAS_LAB:-${XDG_CACHE_HOME:-$HOME/.cache}/pinkas-lab}

# What a command that needs root is begun with.
if [ "$(id -u)" -eq 0 ]; then AS_ROOT=(env); else AS_ROOT=(sudo -n); fi

# Raise it when unpack_release changes what it leaves behind: older folders are then made anew.
RECIPE=1

# Parts of the laboratory that are Debian packages. The names are those tests ask `lab::need` for.
declare -A PACKAGES=(
  [sipp]="sip-tester"
  [postgres]="postgresql"
  [valgrind]="valgrind"
  [keyring]="gnome-keyring dbus-daemon"
  [clock]="libfaketime"
  [xvfb]="xvfb xdotool openbox wmctrl x11-utils scrot imagemagick libgl1 libgl1-mesa-dri libegl1 libx11-6
          libx11-xcb1 libxcursor1 libxi6 libxrandr2 libxkbcommon-x11-0 libfontconfig1 fonts-noto-core"
)

# Those that are provided: what is named on the command line besides the usual.
WANTED=(sipp postgres xvfb keyring clock "$@")

# Releases that are unpacked: the Debian suite and the packages each is taken from, and its program.
UNPACKED="asterisk-16 asterisk-22 kamailio mariadb slapd"
declare -A SUITES=([asterisk-16]=bullseye [asterisk-22]=sid [kamailio]=bookworm [mariadb]=bookworm [slapd]=bookworm)
declare -A RELEASES=([asterisk-16]="asterisk" [asterisk-22]="asterisk"
  [kamailio]="kamailio kamailio-extra-modules kamailio-postgres-modules" [mariadb]="mariadb-server-core" [slapd]="slapd")
declare -A PROGRAMS=([asterisk-16]=asterisk [asterisk-22]=asterisk [kamailio]=kamailio [mariadb]=mariadbd [slapd]=slapd)
# Of a package that was added later: a folder without this file is older and is made anew, the others are left alone.
declare -A ADDED=([kamailio]=modules/db_postgres.so)

main() {
  mkdir -p "$LAB/missing"
  wait_for_other_runs
  # Found anew by each run.
  rm -f "$LAB"/missing/*
  : >"$LAB/setup.log"
  trap clean_up EXIT
  clean_up
  provide_packages
  for release in $UNPACKED; do
    provide_release "$release"
  done
  provide_test_runner
  sum_up
}

# ---------------------------------------------------------------- packages

provide_packages() {
  local part wanted=() began=$SECONDS
  for part in "${WANTED[@]}"; do
    packages_installed "$part" || wanted+=("$part")
  done
  [ ${#wanted[@]} -eq 0 ] && return
  local reason
  if ! reason=$(able_to_install); then
    for part in "${wanted[@]}"; do missing "$part" "$reason"; done
    return
  fi
  # One apt run is quicker; when it fails, one run per part, so that a single bad package costs one part.
  if ! install_parts "${wanted[@]}"; then
    for part in "${wanted[@]}"; do install_parts "$part" || true; done
  fi
  say "packages took $((SECONDS - began)) s"
  for part in "${wanted[@]}"; do
    packages_installed "$part" || missing "$part" "apt-get could not install ${PACKAGES[$part]%% *}: $(last_error)"
  done
}

packages_installed() {
  command -v dpkg-query >/dev/null || return 1
  local state
  # shellcheck disable=SC2086 # a list of words on purpose
  state=$(dpkg-query -W -f='${db:Status-Status}\n' ${PACKAGES[$1]} 2>/dev/null) || return 1
  ! grep -qvx installed <<<"$state"
}

able_to_install() {
  if ! command -v apt-get >/dev/null; then echo "this is not a Debian system (no apt-get): install ${PACKAGES[*]} by hand"
  elif ! "${AS_ROOT[@]}" true 2>/dev/null; then echo "installing packages needs root: run tests/setup/setup.sh as root once"
  else return 0; fi
  return 1
}

install_parts() {
  local part words=()
  # shellcheck disable=SC2206
  for part in "$@"; do words+=(${PACKAGES[$part]}); done
  say "installing packages for: $*"
  spare_system_database
  local status=0
  install_words "${words[@]}" || { logged "${AS_ROOT[@]}" apt-get -o DPkg::Lock::Timeout=300 -q update && install_words "${words[@]}"; } || status=1
  allow_system_database
  return $status
}

# The .deb files go to a folder of our own: on some machines every `apt-get update` of another
# process empties the common one in mid-install.
install_words() {
  mkdir -p "$LAB/.building-debs/partial"
  logged "${AS_ROOT[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 \
    -o Dir::Cache::archives="$LAB/.building-debs" -o APT::Sandbox::User=root \
    install --no-install-recommends --no-upgrade "$@"
}

# Tests start throw-away clusters of their own; nobody asked for one that runs on this machine for ever.
NO_CLUSTER=/etc/postgresql-common/createcluster.d/pinkas-lab.conf
spare_system_database() {
  [ -d /usr/lib/postgresql ] && return
  "${AS_ROOT[@]}" mkdir -p "${NO_CLUSTER%/*}"
  echo 'create_main_cluster = false' | "${AS_ROOT[@]}" tee "$NO_CLUSTER" >/dev/null
}
allow_system_database() {
  [ -e "$NO_CLUSTER" ] || return 0
  "${AS_ROOT[@]}" rm -f "$NO_CLUSTER"
}

# ---------------------------------------------------------------- unpacked releases

provide_release() {
  local release=$1 suite=${SUITES[$1]} began=$SECONDS building=$LAB/.building-$1
  if complete "$LAB/$release" "${ADDED[$release]:-.recipe}"; then return; fi
  local reason
  if ! reason=$(able_to_unpack); then missing "$release" "$reason"; return; fi
  say "fetching $release and the libraries it runs with (up to 80 MB)"
  # shellcheck disable=SC2086 # a list of words on purpose
  if fetch_release "$suite" "$building" ${RELEASES[$release]} && unpack_release "$building" "${PROGRAMS[$release]}"; then
    # Swapped, not removed first: tests may be running with the older one.
    [ ! -e "$LAB/$release" ] || mv "$LAB/$release" "$building/older"
    mv "$building/root" "$LAB/$release"
    rm -rf --one-file-system "$building"
    say "$release took $((SECONDS - began)) s"
  else
    missing "$release" "fetching ${RELEASES[$release]} from Debian $suite failed: $(last_error)"
  fi
}

complete() {
  [ "$(cat "$1/.recipe" 2>/dev/null)" = "$RECIPE" ] && [ -e "$1/$2" ]
}

able_to_unpack() {
  if ! command -v apt-get >/dev/null; then echo "this is not a Debian system (no apt-get): there is nothing to unpack"
  elif [ "$(dpkg --print-architecture)" != amd64 ]; then echo "only amd64 machines are provided for, this is $(dpkg --print-architecture)"
  elif [ -z "$(mirror)" ]; then echo "no Debian mirror found in /etc/apt: the package sources of this machine must name one"
  else return 0; fi
  return 1
}

# Everything the program runs with, down to the C library, as if nothing were installed here: so it
# is the same on every machine, needs neither root nor a chroot, starts no service, and touches no
# state of this machine's apt.
fetch_release() {
  local suite=$1 apt=$2/apt
  shift 2
  mkdir -p "$apt/lists/partial" "$apt/archives/partial" "${apt%/*}/root"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(mirror) $suite main" >"$apt/sources.list"
  : >"$apt/status"
  local own=(-q -y -o Acquire::Retries=3 -o Acquire::Languages=none -o Debug::NoLocking=true -o APT::Sandbox::User=root
    -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::Etc::PreferencesParts=/dev/null
    -o Dir::State="$apt" -o Dir::State::lists="$apt/lists" -o Dir::State::status="$apt/status"
    -o Dir::Cache="$apt" -o Dir::Cache::archives="$apt/archives" -o APT::Update::Post-Invoke-Success= -o APT::Update::Post-Invoke=
    -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false)
  logged apt-get "${own[@]}" --error-on=any update &&
    logged apt-get "${own[@]}" -o APT::Install-Recommends=false --download-only install "$@"
}

unpack_release() {
  local building=$1 program=$2 deb
  for deb in "$building"/apt/archives/*.deb; do
    dpkg --extract "$deb" "$building/root" || return 1
  done
  rm -rf "$building"/root/usr/share/{doc,man,locale,info,perl}
  # The same names for every suite, so that whoever starts it need not know where Debian put things.
  local root=$building/root libs=x86_64-linux-gnu
  ln -s "$(cd "$root" && first_of lib/$libs/ld-linux-x86-64.so.2 usr/lib/$libs/ld-linux-x86-64.so.2)" "$root/loader"
  local libraries=$root/usr/lib/$libs:$root/lib/$libs:$root/usr/lib
  # Kamailio's own libraries are in a folder of theirs.
  libraries+=:$root/usr/lib/$libs/$program
  case $program in
    asterisk | kamailio)
      ln -s "$(cd "$root" && first_of usr/lib/$libs/asterisk/modules usr/lib/asterisk/modules usr/lib/$libs/kamailio/modules)" "$root/modules"
      ln -s "usr/share/$program" "$root/data"
      ;;
  esac
  case $program in
    asterisk | slapd) local version=(-V) ;;
    kamailio) local version=(-v) ;;
    mariadbd) local version=(--no-defaults --version) ;;
  esac
  # slapd says its version as an error: what counts is that it ran far enough to say it.
  logged "$root/loader" --library-path "$libraries" "$root/usr/sbin/$program" "${version[@]}" ||
    { [ "$program" = slapd ] && tail -n 20 "$LAB/setup.log" | grep -q 'OpenLDAP: slapd'; } || return 1
  echo "$RECIPE" >"$root/.recipe"
}

first_of() {
  local path
  for path in "$@"; do [ -e "$path" ] && echo "$path" && return; done
  echo "none of $* is there" >&2
  return 1
}

# The host is whatever this machine uses; none is written here.
mirror() {
  awk '/^URIs:/ {print $2; exit}' /etc/apt/sources.list.d/debian.sources 2>/dev/null | grep . ||
    awk '$1 == "deb" {for (i = 2; i <= NF; i++) if ($i ~ /^https?:/) {print $i; exit}}' /etc/apt/sources.list 2>/dev/null || true
}

# ---------------------------------------------------------------- the rest

# Not fetched: building it takes minutes, and `cargo test` runs the same tests.
provide_test_runner() {
  if cargo nextest --version >/dev/null 2>&1; then return; fi
  say "cargo-nextest is not installed: cargo test will be used (slower, otherwise the same)"
}

# A long command: its words go to the log, one line in five seconds to the person waiting.
logged() {
  echo "+ $*" >>"$LAB/setup.log"
  timeout --kill-after=10 900 "$@" >>"$LAB/setup.log" 2>&1 </dev/null &
  local pid=$! began=$SECONDS told=0
  while kill -0 $pid 2>/dev/null; do
    sleep 0.2
    if ((SECONDS - began >= told + 5)); then
      told=$((SECONDS - began))
      say "  … $told s: $(tail -n 1 "$LAB/setup.log" | cut -c 1-100)"
    fi
  done
  wait $pid
}

# The first complaint of the last command that was run.
last_error() {
  awk '/^\+ / {said = ""; next} /^E: |rror/ && said == "" {said = $0} {last = $0}
       END {print substr(said == "" ? last : said, 1, 200) "; when that is put right, run tests/setup/setup.sh again"}' "$LAB/setup.log"
}

missing() {
  echo "$2" >"$LAB/missing/$1"
  say "MISSING $1: $2"
}

say() { echo "setup: $*"; }

wait_for_other_runs() {
  exec 9>"$LAB/.lock"
  flock --nonblock 9 && return
  say "another setup is running: waiting for it"
  flock --timeout 1800 9
}

# Also what an interrupted run left behind. --one-file-system: should anything ever be mounted in there, it is not ours to remove.
clean_up() {
  local running
  running=$(jobs -p)
  [ -z "$running" ] || kill "$running" 2>/dev/null || true
  # Under sudo, apt's files are root's.
  rm -rf --one-file-system "${LAB:?}"/.building-* 2>/dev/null || "${AS_ROOT[@]}" rm -rf --one-file-system "${LAB:?}"/.building-*
}

sum_up() {
  local lacking
  lacking=$(find "$LAB/missing" -type f -printf '%f ')
  if [ -z "$lacking" ]; then say "the laboratory is complete ($SECONDS s)"; return; fi
  say "without: $lacking($SECONDS s); tests that need these say so and are skipped"
  [ "${PINKAS_REQUIRE_ALL:-}" != 1 ]
}

main
