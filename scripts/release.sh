# How a release is compiled, so that the same commit makes the same program in whatever folder, by whoever. Sourced, not run.

# Sets what the compilers read, for a build of the tree in the folder $1.
release_settings() {
    local tree=$1
    local cargo_home=${CARGO_HOME:-$HOME/.cargo}
    local sysroot
    sysroot=$(rustc --print sysroot)
    # No time of today: that of the commit.
    SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct)
    # No path of this machine, in Rust and in the C of Opus, ring and the like.
    RUSTFLAGS="--remap-path-prefix=$tree=/calmline --remap-path-prefix=$cargo_home=/cargo --remap-path-prefix=$sysroot=/rust"
    CFLAGS="-ffile-prefix-map=$tree=/calmline -ffile-prefix-map=$cargo_home=/cargo"
    CXXFLAGS=$CFLAGS
    # Archives of objects without time and owner.
    ZERO_AR_DATE=1
    LC_ALL=C
    TZ=UTC
    export SOURCE_DATE_EPOCH RUSTFLAGS CFLAGS CXXFLAGS ZERO_AR_DATE LC_ALL TZ
}
