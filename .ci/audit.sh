#!/usr/bin/env bash
# Known vulnerabilities of the locked versions, by pip-audit in an environment of its own. Not part
# of CI, since it asks a service (osv.dev) that may be away, and whose answers change by the day.
set -uo pipefail
cd "$(dirname "$0")/.."
found=$(uv tool run pip-audit@2.10.1 --requirement constraints.txt --no-deps --disable-pip \
  --vulnerability-service osv --progress-spinner off --timeout 20 2>&1)
code=$?
if [ "$code" != 0 ] && ! grep -q "Found .* known vulnerabilit" <<<"$found"; then
  echo "audit: no answer ($(tail -n 1 <<<"$found" | cut -c 1-200)); run make audit again where the" \
    "package index and osv.dev can be reached" >&2
  exit 2
fi
echo "$found"
exit "$code"
