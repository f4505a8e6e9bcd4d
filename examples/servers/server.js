// SPDX-License-Identifier: MIT
// Two workers answer in turn: node's cluster module forks, and the workers share the primary's socket.
const cluster = require('cluster');
const http = require('http');

if (cluster.isPrimary) {
    for (let i = 0; i < 2; i++)
        cluster.fork();
} else {
    http.createServer((request, response) => response.end(`worker ${cluster.worker.id} of node\n`)).listen(80);
}
