#!/usr/bin/env bash
# Builds the image of the search service on a Debian that debootstrap makes, starts it as it
# would run in a cluster (read-only, not root), and searches it. `make image-test`.
#
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
[ "$(df --output=avail --block-size=1M "${TMPDIR:-/tmp}" | tail -n 1)" -gt 3000 ] || skip 'there are no 3 GB free'

python=.venv/bin/python
suite=${SUITE:-bookworm}
work=$(mktemp -d)
base=localhost/lookalike-test-base
image=localhost/lookalike-test-search
container=
cleanup() {
  if [ -n "$container" ]; then
    buildah rm "$container" > /dev/null || true
  fi
  buildah rmi --force "$image" "$base" > /dev/null 2>&1 || true
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
buildah copy --quiet "$container" "$work/debian" / > /dev/null
buildah commit --quiet --rm "$container" "$base" > /dev/null
container=
rm -rf "$work/debian"

echo "wheels for Python $version"
# Fetched here, by this machine's settings of pip, so that the build itself needs no index.
# pip asks its own Python whether a condition holds: what older ones need is named besides.
mapfile -t wanted < <("$python" deploy/checks/requirements.py search analysis client)
"$python" -m pip download --quiet --disable-pip-version-check --dest "$work/wheels" \
  --only-binary :all: --python-version "$version" --constraint deploy/constraints.txt "${wanted[@]}" async-timeout
printf '[global]\nno-index = true\nfind-links = /wheels\n' > "$work/pip.conf"

echo 'the image'
buildah bud --quiet --isolation chroot --layers=false --build-arg "BASE=$base" \
  --secret "id=pip,src=$work/pip.conf" --volume "$work/wheels:/wheels:ro" \
  --ignorefile .dockerignore --file deploy/images/search.Dockerfile --tag "$image" . > /dev/null
buildah inspect --type image "$image" > "$work/image.json"
container=$(buildah from "$image")
root=$(buildah mount "$container")
echo "$(du --summarize --block-size=1M "$root" | cut -f 1) MB without compression"
mkdir "$work/volumes"
"$python" deploy/checks/run_image.py "$root" "$work/volumes" "$work/image.json"
