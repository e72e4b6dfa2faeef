# What the scripts share: messages, installing what a system lacks, and building. Sourced by bash, with `root` set to
# the checkout.
# shellcheck shell=bash

: "${root:?}"
logs=$root/build/logs

if [ -t 1 ]; then
    bold=$'\033[1m' plain=$'\033[0m'
else
    bold='' plain=''
fi

# say TEXT...: one line about what happens now.
say() { printf '%s==> %s%s\n' "$bold" "$*" "$plain"; }

# die TEXT...: the end, with the reason.
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# need PROGRAM...: all of them, or the end.
need() {
    local program
    for program; do
        command -v "$program" >/dev/null || die "$program is missing"
    done
}

# quietly NAME COMMAND...: runs a command; its output goes to build/logs/NAME.log and is shown if it fails.
quietly() {
    local log=$logs/$1.log
    shift
    mkdir -p "$logs"
    if ! "$@" >"$log" 2>&1 </dev/null; then
        cat "$log" >&2
        die "failed: $* (the output above is also in ${log#"$root"/})"
    fi
}

# ---- packages --------------------------------------------------------------------------------------------------------

# MULTIPROC_NO_INSTALL=1 in the environment keeps the scripts from installing anything.

# platform: debian (and what descends from it), macos, or unknown.
platform() {
    if [ "$(uname -s)" = Darwin ]; then
        echo macos
    elif command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
        echo debian
    else
        echo unknown
    fi
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "this needs root, and there is no sudo: $*"
    fi
}

debian_has() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# A package that others merely mention has no candidate. All of the output is read: a grep that leaves at the first match
# may end the other by SIGPIPE, which would count as failure.
debian_offers() { apt-cache policy "$1" 2>/dev/null | grep '^  Candidate: [^(]' >/dev/null; }

# install_debian PACKAGE...: installs them unless they are there. "a|b" is satisfied by either, and takes the first that
# the system offers.
install_debian() {
    local package choice choices found missing=() packages=()
    if [ -n "${MULTIPROC_NO_INSTALL:-}" ]; then return; fi
    for package; do
        found=
        IFS='|' read -ra choices <<<"$package"
        for choice in "${choices[@]}"; do
            if debian_has "$choice"; then found=yes; fi
        done
        if [ -z "$found" ]; then missing+=("$package"); fi
    done
    if [ ${#missing[@]} -eq 0 ]; then return; fi
    say "Updating the package lists"
    quietly apt-update as_root env DEBIAN_FRONTEND=noninteractive apt-get update
    for package in "${missing[@]}"; do
        found=
        IFS='|' read -ra choices <<<"$package"
        for choice in "${choices[@]}"; do
            if [ -z "$found" ] && debian_offers "$choice"; then found=$choice; fi
        done
        [ -n "$found" ] || die "no package called ${package//|/ or } is offered to apt-get"
        packages+=("$found")
    done
    say "Installing ${packages[*]}"
    quietly apt-install as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "${packages[@]}"
}

# install_homebrew FORMULA...: installs them unless they are there.
install_homebrew() {
    local formula missing=()
    if [ -n "${MULTIPROC_NO_INSTALL:-}" ]; then return; fi
    command -v brew >/dev/null || die "please install Homebrew (https://brew.sh), or by other means: $*"
    for formula; do
        if ! brew list --versions "$formula" >/dev/null 2>&1; then missing+=("$formula"); fi
    done
    if [ ${#missing[@]} -eq 0 ]; then return; fi
    say "Installing ${missing[*]}"
    quietly brew-install brew install "${missing[@]}"
}

# install_build_tools: what building the library and its examples takes.
install_build_tools() {
    case $(platform) in
        debian)
            install_debian g++ cmake ninja-build ccache libcereal-dev libstb-dev \
                'libboost-dev|libboost1.81-dev' libssl-dev libseccomp-dev \
                'libjpeg62-turbo-dev|libjpeg-turbo8-dev|libjpeg-dev'
            ;;
        macos)
            xcode-select -p >/dev/null 2>&1 || die "please install the command line tools first: xcode-select --install"
            install_homebrew cmake ninja ccache cereal boost jpeg-turbo
            ;;
        *)
            say "This system is unknown here, so nothing is installed. It must have: a C++20 compiler (GCC 12," \
                "Clang 14 or newer), CMake 3.25, Ninja, the headers of cereal and of stb," \
                "and if possible libjpeg-turbo, libseccomp for sandboxes, and for multiproc::network the headers of Boost" \
                "and OpenSSL"
            ;;
    esac
    need cmake ninja
}

# ---- building --------------------------------------------------------------------------------------------------------

# version_at_least LEAST VERSION
version_at_least() { [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

# job_count: as many as the processors and the memory (1.5 GB for each compiler) allow.
job_count() {
    local processors memory=
    processors=$(nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 2)
    if [ -r /proc/meminfo ]; then memory=$(awk '/^MemAvailable:/ { print int($2 / 1500000) }' /proc/meminfo); fi
    if [ -n "$memory" ] && [ "$memory" -lt "$processors" ]; then processors=$memory; fi
    if [ "$processors" -lt 1 ]; then processors=1; fi
    echo "$processors"
}

# build_preset PRESET: configures and builds in build/PRESET.
build_preset() {
    say "Configuring $1"
    (cd "$root" && quietly "$1-configure" cmake --preset "$@")
    say "Building $1"
    (cd "$root" && quietly "$1-build" cmake --build --preset "$1" -j "$(job_count)")
}
