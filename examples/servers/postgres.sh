# SPDX-License-Identifier: MIT
# A new PostgreSQL cluster in the memory of the guest, open to all who reach its port: psql -h 127.0.0.1 -U postgres
set -e
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
initdb -D /tmp/cluster -A trust -N
echo 'host all all all trust' >>/tmp/cluster/pg_hba.conf
exec postgres -D /tmp/cluster -c listen_addresses='*' -c unix_socket_directories=/tmp -c dynamic_shared_memory_type=mmap
