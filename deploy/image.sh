#!/usr/bin/env bash
# Builds the worker's image where an engine runs (docker, podman, buildah). Where none does, it makes the image's root file
# system by the Dockerfile's own steps, starts the program in there as the image would, asks it how it is, and prints sizes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

dockerfile=deploy/Dockerfile
image=${1:-stream-replicator:$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)}
say() { printf 'image.sh: %s\n' "$*"; }
fail() {
    printf 'image.sh: %s\n' "$*" >&2
    exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

for engine in docker podman; do
    if has $engine && $engine info >/dev/null 2>&1; then
        $engine build --file $dockerfile --target worker --tag "$image" .
        say "$image: $($engine image inspect --format '{{.Size}}' "$image") bytes"
        exit 0
    fi
done
if has buildah && buildah info >/dev/null 2>&1; then
    exec buildah build --file $dockerfile --target worker --tag "$image" .
fi
say "no engine runs here: the steps of $dockerfile in a bare directory"

work=$(mktemp -d)
worker=
cleanup() {
    if [ -n "$worker" ]; then kill "$worker" 2>/dev/null || true; fi
    rm -rf "$work"
}
trap cleanup EXIT
context=$work/src
out=$work/out
root=$work/root
mkdir -p "$context" "$out" "$root"

# Lines that end in a backslash go on.
instructions() { sed -e ':again' -e '/\\$/N; s/\\\n */ /; t again' -e '/^#/d' $dockerfile; }
# stage NAME: the instructions of one stage.
stage() { instructions | awk -v name="$1" '/^FROM /{ours = ($NF == name)} ours'; }

# COPY . . under the rules of .dockerignore, which names all that goes along
sed -n 's/^!//p' .dockerignore | while read -r path; do cp -a --parents "$path" "$context"; done
# RUN, with the cache of the engine's mounts in the target directory that we have, and /out here
target=${CARGO_TARGET_DIR:-$PWD/target}
ln -s "$target" "$context/target"
run=$(stage build | sed -n 's/^RUN //p' | sed 's/--mount=[^ ]* *//g; s#/out#'"$out"'#g; s#mkdir #mkdir -p #')
[ -n "$run" ] || fail "$dockerfile: stage build runs nothing"
say "building: some minutes the first time"
(cd "$context" && CARGO_TARGET_DIR=$target bash -euc "$run")

# COPY --from=build FROM TO: everything that the last image adds to its base
stage worker | sed -n 's/^COPY --from=build //p' | while read -r from to; do
    case $from in
        /out/*) from=$out/${from#/out/} ;;
        /src/*) from=$context/${from#/src/} ;;
        *) fail "$dockerfile: COPY of $from is not understood" ;;
    esac
    mkdir -p "$root$(dirname "$to")"
    cp -aL "$from" "$root$to"
done
ours=$(du --bytes --summarize "$root" | cut -f 1)
binary=$root$(stage worker | sed -n 's/^ENTRYPOINT \["\([^"]*\)"\]/\1/p')
[ -x "$binary" ] || fail "$dockerfile: ENTRYPOINT is not among what is copied"
uid=$(stage worker | sed -n 's/^USER //p')

# What the base image (distroless/cc) has of use: the loader, glibc, libgcc, certificate authorities, users.
ldd "$binary" | grep -o '/[^ ]*' | while read -r library; do cp -L --parents "$library" "$root"; done
mkdir -p "$root/etc/ssl/certs" "$root/etc/stream-replicator" "$root/proc" "$root/tmp"
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:%s:nonroot:/home/nonroot:/sbin/nologin\n' "$uid" >"$root/etc/passwd"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
port=$((20000 + RANDOM % 10000))
# nobody listens at port 1: it runs, and is not ready
cat >"$root/etc/stream-replicator/settings.toml" <<SETTINGS
[admin]
listen = "127.0.0.1:$port"
[rabbitmq]
url = "amqp://nobody:nothing@127.0.0.1:1/%2f"
[sites.west]
kind = "static-origin"
[sites.west.storage]
account = "west"
key = "a2V5"
[sites.east]
kind = "static-origin"
[sites.east.storage]
account = "east"
key = "a2V5"
[routes.west]
replicas = ["east"]
SETTINGS
chmod -R a+rX "$work"

[ "$(id -u)" = 0 ] || { say "not root, so it is not started in there"; exit 0; }
eval "$(stage worker | sed -n 's/^ENV /export /p')"
# inside COMMAND...: in that root, read-only where mounts are allowed, as the image's user, who can gain nothing
inside() {
    # shellcheck disable=SC2016  # for the inner shell
    unshare --mount bash -euc 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" || echo "image.sh: its root stays writable here" >&2
        exec setpriv --no-new-privs chroot --userspec="$2" --groups= "$1" "${@:3}"' inside "$root" "$uid" "$@"
}
program=${binary#"$root"}
inside "$program" --version
inside "$program" run 2>"$work/log" &
worker=$!
for try in $(seq 100); do
    if answer=$(inside "$program" probe 2>&1); then break; fi
    kill -0 $worker 2>/dev/null || fail "it has ended: $(cat "$work/log")"
    [ "$try" -lt 100 ] || fail "it does not answer: $answer"
    sleep 0.1
done
say "probe: $answer"
ask() { exec 3<>"/dev/tcp/127.0.0.1/$port"; printf 'GET %s HTTP/1.0\r\n\r\n' "$1" >&3; tr -d '\r' <&3 | sed '1,/^$/d'; exec 3>&-; }
for path in /version /healthz /readyz; do say "$path: $(ask $path)"; done
pid=$(pgrep --parent $worker 2>/dev/null | head -n 1 || true)
pid=${pid:-$worker}
grep -E '^(Uid|NoNewPrivs|CapEff|VmHWM)' "/proc/$pid/status" | tr '\n' ';' | sed 's/\t/ /g; s/$/\n/'
awk '$5 == "/" {print "root: " $6}' "/proc/$pid/mountinfo"
kill -TERM "$pid"
wait $worker && code=0 || code=$?
worker=
[ $code = 0 ] || fail "it ended with $code: $(cat "$work/log")"
say "ends with 0 at SIGTERM"
say "the program: $(stat -c %s "$binary") bytes; all that the image adds to its base: $ours bytes; with what the program needs of the base: $(du --bytes --summarize "$root" | cut -f 1) bytes"
