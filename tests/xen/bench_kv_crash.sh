# kv_disk, whose domain is destroyed fifty times. It takes about twelve minutes.
# images: kv
# programs: witness
# limit: 3000

# shellcheck disable=SC2034 # kv_disk reads them
ALWAYS=40 EVERYSEC=10
. /share/tests/kv_disk.sh
