# kv_disk, fifty times.
# images: kv
# programs: witness
# limit: 3000

# shellcheck disable=SC2034 # kv_disk reads it
ROUNDS=50
. /share/tests/kv_disk.sh
