# What the comments in the pages are written with. Runs before each of them and before each command, in a folder that
# looks like the root of the repository.

set -euo pipefail

# In the place of a person at the editor, who mends the one type that nobody sells.
export KUBE_EDITOR='sed -i s/NONE.SMALL1/S4.SMALL2/'

# object NAME [DOMAIN [SPEC]]: applies the hourly sample under another name and domain, with fields (JSON) merged into its spec.
object() {
  sed "s/name: hourly$/name: $1/; s/hourly\.pai/${2:-$1}.pai/" deploy/samples/hourly.yaml |
    kubectl patch --local -f - --type=merge -p "{\"spec\":${3:-{\}}}" -o yaml | kubectl apply -f - > /dev/null
}

# fault ACTION EFFECT [TIMES]: tells the stand-in cloud to misbehave.
fault() {
  cloud POST faults "{\"action\":\"$1\",\"effect\":$2,\"times\":${3:-1}}"
}

# error CODE MESSAGE: an effect.
error() {
  printf '{"kind":"error","code":"%s","message":"%s"}' "$1" "$2"
}

# cloud METHOD PAGE [BODY]: a page of the stand-in cloud.
cloud() {
  curl --silent --show-error --fail --max-time 10 -X "$1" "$SIMULATOR_URL/_simulator/$2" -d "${3:-}" > /dev/null
}

# ready NAME: waits until it is.
ready() {
  kubectl wait --for=condition=Ready "pai/$1" --timeout=120s > /dev/null
}

# machine NAME: the id of its machine.
machine() {
  kubectl get pai "$1" -o jsonpath='{.status.instanceIds[0]}'
}

# look NAME: has it looked at again at once.
look() {
  kubectl annotate pai "$1" --overwrite "pai.tencentcloud.io/reconcile-requested-at=$(date +%s%N)" > /dev/null
}
