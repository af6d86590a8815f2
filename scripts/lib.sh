# Shared by the scripts: finding the project, installing what is missing. Sourced, not run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }
die() { printf 'calmline: %s\n' "$*" >&2; exit 1; }

# Installs the Debian packages named, but only those that are missing; says how when we may not.
need_packages() {
    local missing=()
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0

    local as_root=()
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || die "needs the packages: ${missing[*]} (run as root: apt-get install ${missing[*]})"
        as_root=(sudo)
    fi
    say "installing: ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# The same for what some systems do not have: tests that need it say that they are skipped.
want_packages() {
    (need_packages "$@") && return 0
    for package in "$@"; do
        (need_packages "$package") || say "$package could not be installed: the tests that need it are skipped"
    done
}

# The Rust toolchain that rust-toolchain.toml names, by rustup.
need_rust() {
    [ -d "$HOME/.cargo/bin" ] && export PATH="$HOME/.cargo/bin:$PATH"
    if ! command -v cargo >/dev/null; then
        need_packages curl ca-certificates
        say "installing the Rust toolchain"
        curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal --default-toolchain none
        export PATH="$HOME/.cargo/bin:$PATH"
    fi
    cargo --version >/dev/null 2>&1 || rustup toolchain install
}

# Everything that building and running needs on a fresh Debian or Ubuntu machine.
need_build_tools() {
    need_packages gcc libc6-dev make cmake python3 python3-pip ca-certificates
    need_rust
    scripts/fetch-onnxruntime || say "ONNX Runtime could not be fetched: the listening side runs on signal processing only"
}
