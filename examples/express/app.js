// The app itself, without a port: tests start it on one of their own.
'use strict';

const express = require('express');

/** What every answer tells: which release and which process gave it. */
function identity() {
  return {
    greeting: process.env.GREETING || 'Hello',
    release: process.env.HEROKU_RELEASE_VERSION || 'unreleased',
    dyno: process.env.DYNO || 'none',
    node: process.versions.node,
  };
}

/** The longest that anybody may make an answer wait. */
const LONGEST_PAUSE_MILLIS = 5000;

function makeApp() {
  const app = express();
  app.disable('x-powered-by');

  app.get('/', (request, response) => response.json(identity()));

  app.all('/slow', (request, response) => {
    const asked = Number(request.query.ms) || 0;
    setTimeout(() => response.json(identity()), Math.min(asked, LONGEST_PAUSE_MILLIS));
  });

  app.post('/upload', (request, response, next) => {
    let bytes = 0;
    request.on('data', (chunk) => (bytes += chunk.length));
    request.on('error', next);
    request.on('end', () => response.json({ ...identity(), bytes }));
  });

  return app;
}

module.exports = { makeApp };
