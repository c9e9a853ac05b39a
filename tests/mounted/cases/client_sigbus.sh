# SPDX-License-Identifier: BSD-3-Clause
# needs: devdaxfs
# timeout: 120
exec "$DDFS_BUILD/tests/client/test_client_sigbus" "$@"
