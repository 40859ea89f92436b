#!/usr/bin/env bash
# Builds the images of the services on a Debian that debootstrap makes, starts them as they
# would run in a cluster (read-only, not root), and uses them. `make image-test`.
#
# SERVICES=search tries that one alone. All of them need 30 GB while they are built, as torch
# comes with CUDA's libraries; TORCH_INDEX names an index whose torch has none.
# Ends with 0 and says why where the machine cannot: it needs root, buildah, debootstrap,
# 3 GB and a package index. MIRROR names a Debian mirror, SUITE a release.
set -euo pipefail
cd "$(dirname "$0")/../.."

skip() {
  echo "image-test skipped: $1"
  exit 0
}
[ "$(id -u)" = 0 ] || skip 'it needs root, for debootstrap and for buildah without a user namespace'
for tool in buildah debootstrap; do
  command -v "$tool" > /dev/null || skip "$tool is not installed (apt-get install $tool)"
done
images=${SERVICES:-search worker embedder}
case $images in
  search | 'search worker embedder') ;;
  *)
    echo "image-test: SERVICES is search, or nothing for all, and not $images" >&2
    exit 2
    ;;
esac
free_mb=$(df --output=avail --block-size=1M "${TMPDIR:-/tmp}" | tail -n 1)
[ "$free_mb" -gt 3000 ] || skip 'there are no 3 GB free'
if [ "$images" != search ] && [ "$free_mb" -lt 30000 ]; then
  echo 'there are no 30 GB free: the search service alone'
  images=search
fi

python=.venv/bin/python
suite=${SUITE:-bookworm}
work=$(mktemp -d)
base=localhost/lookalike-test-base
containers=()
tags=("$base")
cleanup() {
  for container in "${containers[@]}"; do
    buildah rm "$container" > /dev/null 2>&1 || true
  done
  buildah rmi --force "${tags[@]}" > /dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT

echo "a Debian $suite"
debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
  "$suite" "$work/debian" "${MIRROR:-http://deb.debian.org/debian}" > "$work/debootstrap.log" 2>&1 \
  || { tail -n 3 "$work/debootstrap.log"; skip 'debootstrap cannot make a base: is a Debian mirror reached?'; }
rm -rf "$work/debian/var/cache/apt" "$work/debian/var/lib/apt/lists"
version=$(chroot "$work/debian" python3 -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])')
container=$(buildah from scratch)
containers+=("$container")
buildah copy --quiet "$container" "$work/debian" / > /dev/null
buildah commit --quiet --rm "$container" "$base" > /dev/null
rm -rf "$work/debian"

# Fetched here, by this machine's settings of pip, so that the build itself needs no index.
# pip asks its own Python whether a condition holds: what older ones need is named besides.
fetch() {
  "$python" -m pip download --quiet --disable-pip-version-check --dest "$work/wheels" \
    --only-binary :all: --python-version "$version" --constraint deploy/constraints.txt "$@"
}
printf '[global]\nno-index = true\nfind-links = /wheels\n' > "$work/pip.conf"

mounted=()
mkdir "$work/run"
for name in $images; do
  case $name in
    search) extras=(search analysis client tracing) ;;
    *) extras=("$name" tracing) ;;
  esac
  echo "$name: wheels for Python $version"
  mapfile -t wanted < <("$python" deploy/checks/requirements.py "${extras[@]}")
  if [ "$name" = embedder ]; then
    fetch ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch torchvision
  fi
  fetch --find-links "$work/wheels" "${wanted[@]}" async-timeout
  echo "$name: the image"
  image=localhost/lookalike-test-$name
  tags+=("$image")
  buildah bud --quiet --isolation chroot --layers=false \
    --build-arg "BASE=$base" --build-arg TORCH_INDEX_CPU= \
    --secret "id=pip,src=$work/pip.conf" --volume "$work/wheels:/wheels:ro" \
    --ignorefile .dockerignore --file "deploy/images/$name.Dockerfile" --tag "$image" . > /dev/null
  buildah inspect --type image "$image" > "$work/run/$name.json"
  container=$(buildah from "$image")
  containers+=("$container")
  root=$(buildah mount "$container")
  mounted+=("$name=$root")
  echo "$name: $(du --summarize --block-size=1M "$root" | cut -f 1) MB without compression"
done
rm -rf "$work/wheels"
"$python" deploy/checks/run_image.py "$work/run" "${mounted[@]}"
