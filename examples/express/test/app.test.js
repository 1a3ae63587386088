'use strict';

const assert = require('node:assert');
const { test } = require('node:test');
const { makeApp } = require('../app');

/** Runs a check against the app on a port of its own. */
async function withApp(check) {
  const server = makeApp().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  try {
    await check(`http://127.0.0.1:${server.address().port}`);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

test('an answer tells its release', () =>
  withApp(async (url) => {
    process.env.HEROKU_RELEASE_VERSION = 'v7';
    const answer = await (await fetch(url)).json();
    assert.strictEqual(answer.release, 'v7');
    assert.strictEqual(answer.greeting, 'Hello');
  }));

test('every byte of an upload is counted', () =>
  withApp(async (url) => {
    const response = await fetch(`${url}/upload`, { method: 'POST', body: Buffer.alloc(300000) });
    assert.strictEqual((await response.json()).bytes, 300000);
  }));

test('nobody can make an answer wait for long', () =>
  withApp(async (url) => {
    const response = await fetch(`${url}/slow?ms=nonsense`);
    assert.strictEqual(response.status, 200);
  }));
