// The web process: listens on PORT, and when told to end finishes what it has begun.
'use strict';

const { makeApp } = require('./app');

const server = makeApp().listen(Number(process.env.PORT) || 3000, '0.0.0.0', () => {
  console.log(`listening on port ${server.address().port}`);
});

// Longer than any router keeps an idle connection: the router closes first, so no request meets a closing server.
server.keepAliveTimeout = 120 * 1000;
server.headersTimeout = 125 * 1000;

process.on('SIGTERM', () => {
  console.log('told to end: finishing open requests');
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
