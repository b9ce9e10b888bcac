#!/bin/sh
# Installs what building, running or testing needs and this machine does not have; called by the Makefile.
#
#     tests/setup.sh run     compiler tools and the fonts that reports are typeset with
#     tests/setup.sh peers   the same, and the foreign software that the tests talk to
#     tests/setup.sh bench   the same, and the servers that a benchmark is measured against
#     tests/setup.sh web     the npm packages that the pages are built with
#     tests/setup.sh deny    cargo-deny, which checks the dependencies
#
# What is there already is left alone, so a second run installs nothing. Debian packages are installed with apt-get,
# through sudo unless the caller is root; everything else goes into target/. Elsewhere than on Debian it says what is missing.
set -eu
cd "$(dirname "$0")/.."

VENV=target/peers-venv
TOOLS=target/tools
CARGO_DENY_VERSION=0.20.2
WEB=server/web
WANTED_NODE=20.19.0

missing=

# need PACKAGE REASON TEST…: remembers PACKAGE when TEST fails.
need() {
    package=$1
    reason=$2
    shift 2
    if ! "$@" >/dev/null 2>&1; then
        echo "setup: $package is missing: $reason"
        missing="$missing $package"
    fi
}

has() { command -v "$1"; }

font() {
    found=$(find /usr/share/fonts /usr/local/share/fonts -name "$1*" 2>/dev/null | head -n 1)
    test -n "$found"
}

postgres() {
    for program in /usr/lib/postgresql/*/bin/initdb; do
        test -x "$program" && return 0
    done
    has initdb
}

orthanc() { has Orthanc || test -x /usr/sbin/Orthanc; }

dicomweb_plugin() { test -e /usr/share/orthanc/plugins/libOrthancDicomWeb.so; }

# A program for administrators, which may lie outside the path of others.
sbin() { has "$1" || test -x "/usr/sbin/$1" || test -x "/sbin/$1"; }

install_missing() {
    test -n "$missing" || return 0
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "setup: this is not Debian; install by hand what these Debian packages contain:$missing" >&2
        exit 1
    fi
    as_root=
    if [ "$(id -u)" != 0 ]; then
        as_root=sudo
        command -v sudo >/dev/null 2>&1 || {
            echo "setup: neither root nor sudo; as root run: apt-get install$missing" >&2
            exit 1
        }
    fi
    echo "setup: installing with apt-get:$missing"
    log=$(mktemp)
    # Word splitting is meant: these are our own package names.
    # shellcheck disable=SC2086
    if $as_root apt-get update >"$log" 2>&1 &&
        $as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install --yes --no-install-recommends $missing >>"$log" 2>&1; then
        rm -f "$log"
    else
        tail -n 30 "$log" >&2
        rm -f "$log"
        echo "setup: apt-get could not install$missing" >&2
        exit 1
    fi
    missing=
}

rust() {
    command -v cargo >/dev/null 2>&1 || {
        echo "setup: cargo is missing: install Rust $(wanted_rust) or newer (rustup.rs)" >&2
        exit 1
    }
    have=$(rustc --version | cut -d ' ' -f 2)
    oldest=$(printf '%s\n%s\n' "$have" "$(wanted_rust)" | sort -V | head -n 1)
    if [ "$oldest" != "$(wanted_rust)" ]; then
        echo "setup: Rust $have is too old, $(wanted_rust) or newer is needed: rustup update stable" >&2
        exit 1
    fi
}

wanted_rust() { sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml; }

need_run() {
    rust
    need gcc "links the programs and compiles SQLite" has cc
    need libc6-dev "the C library's headers" test -e /usr/include/stdio.h
    need cmake "builds the cryptography library, aws-lc" has cmake
    need fonts-noto-cjk "Chinese in reports" font NotoSansCJK-Regular
    need fonts-hanazono "rare characters of names in reports" font HanaMin
}

need_peers() {
    need dcmtk "DICOM senders and receivers" has storescu
    need dicom3tools "dciodvfy judges the reports we send" has dciodvfy
    need poppler-utils "pdftotext and pdfinfo read the PDF back" has pdftotext
    need qpdf "judges the PDF's structure" has qpdf
    need postgresql "tests start servers of their own; Debian may start one too, which is not used" postgres
    need python3-venv "an environment for Python peers" python3 -c 'import ensurepip, venv'
    need curl "speaks to the interface in the end-to-end test" has curl
    need jq "reads its answers" has jq
    need chromium "the pages are tried in it" has chromium
}

need_bench() {
    need orthanc "an anchor to measure against" orthanc
    need orthanc-dicomweb "what Orthanc takes STOW-RS with" dicomweb_plugin
    need iproute2 "namespaces and addresses of the emulated lines" sbin ip
    need nftables "blocks UDP on an emulated line" sbin nft
    need procps "sysctl sets the TCP of an emulated line" sbin sysctl
}

# pydicom, pynetdicom and moto, in an environment of their own. Made again when the list has changed.
python_peers() {
    wanted=tests/peers/requirements.txt
    if [ -x "$VENV/bin/python" ] && cmp -s "$wanted" "$VENV/installed.txt"; then
        return 0
    fi
    echo "setup: installing Python peers into $VENV"
    mkdir -p target
    [ -x "$VENV/bin/python" ] || python3 -m venv "$VENV"
    # Called as a module: the scripts in the environment cannot be started from a folder with spaces in its name.
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$wanted"
    cp "$wanted" "$VENV/installed.txt"
}

# The packages that package-lock.json names, once for each state of it.
node_packages() {
    command -v npm >/dev/null 2>&1 || {
        echo "setup: npm is missing: install Node $WANTED_NODE or newer (nodejs.org; Debian 12's own is too old)" >&2
        exit 1
    }
    have=$(node --version | tr -d v)
    if [ "$(printf '%s\n%s\n' "$have" "$WANTED_NODE" | sort -V | head -n 1)" != "$WANTED_NODE" ]; then
        echo "setup: Node $have is too old, $WANTED_NODE or newer is needed (nodejs.org)" >&2
        exit 1
    fi
    if cmp -s "$WEB/package-lock.json" "$WEB/node_modules/.installed.json"; then
        return 0
    fi
    echo "setup: installing npm packages into $WEB/node_modules"
    (cd "$WEB" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
    cp "$WEB/package-lock.json" "$WEB/node_modules/.installed.json"
}

cargo_deny() {
    if cargo deny --version >/dev/null 2>&1 || [ -x "$TOOLS/bin/cargo-deny" ]; then
        return 0
    fi
    echo "setup: building cargo-deny $CARGO_DENY_VERSION into $TOOLS (about a minute, once)"
    # Unoptimized: it builds four times faster and runs for seconds either way.
    CARGO_TARGET_DIR="$TOOLS/build" cargo install --quiet --locked --debug \
        --root "$TOOLS" --version "$CARGO_DENY_VERSION" cargo-deny
    rm -rf "$TOOLS/build"
}

case "${1-}" in
    run)
        need_run
        install_missing
        ;;
    peers)
        need_run
        need_peers
        install_missing
        python_peers
        ;;
    bench)
        need_run
        need_peers
        need_bench
        install_missing
        python_peers
        ;;
    web)
        node_packages
        ;;
    deny)
        rust
        cargo_deny
        ;;
    *)
        echo "usage: tests/setup.sh run|web|peers|bench|deny" >&2
        exit 1
        ;;
esac
