#!/bin/sh
# /etc/letsencrypt/renewal-hooks/deploy/game
# certbot runs this script after each renewal. RENEWED_LINEAGE is the folder of the new certificate.
# The folder of the copies has the setgid bit, so the copies belong to its group.
set -eu
install -m 640 "$RENEWED_LINEAGE/privkey.pem" "$RENEWED_LINEAGE/fullchain.pem" /opt/game/tls
